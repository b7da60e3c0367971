"""The samples of a run: written, read back, compared."""

import pytest

from wholeframe.train.samples import changes, read_samples, write_samples

STRANGE = [("val", 'a "b",\n\r.png', "x;y"), ("val", "\udce9", "")]
SAMPLES = [("train", "cat/1.png", "cat"), ("train", "dog/1.png", "dog"), *STRANGE]


def test_they_come_back(tmp_path):
    write_samples(tmp_path / "samples.csv", SAMPLES)
    assert read_samples(tmp_path / "samples.csv") == SAMPLES


@pytest.mark.parametrize("content", [b"", b"split,name\ntrain,a\n", b"split,name,label\ntrain,a\n", b"\x89PNG"])
def test_another_file(tmp_path, content):
    (tmp_path / "samples.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"samples\.csv' is damaged \(its columns are not split, name, label\)"):
        read_samples(tmp_path / "samples.csv")


def test_the_same():
    assert changes(SAMPLES, list(SAMPLES)) == ""


def test_what_changed_is_named():
    now = [("train", "cat/1.png", "dog"), *SAMPLES[2:], ("test", "new.png", "cat")]
    assert changes(SAMPLES, now) == (
        "1 sample gone (train 'dog/1.png'), 1 sample added (test 'new.png'), "
        "1 sample relabelled (train 'cat/1.png' from 'cat' to 'dog')"
    )


def test_long_lists_say_that_they_are_cut():
    many = [("train", f"{number}.png", "cat") for number in range(9)]
    assert changes(many, []) == "9 samples gone (train '0.png', train '1.png', train '2.png' and 6 more)"


def test_another_order():
    assert changes(SAMPLES, SAMPLES[::-1]) == "the samples are in another order"
