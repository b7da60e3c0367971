"""Which files are held out for validation, and what is said about the splits."""

import os
from pathlib import Path

import pytest

from wholeframe.data.splits import held_out, imbalance, refuse_fraction, sizes, validated_on

ROOT = Path("root")
CATS = [ROOT / "cat" / f"{number:03}.png" for number in range(10)]


def test_the_choice_is_the_same_on_every_machine():
    assert held_out(ROOT, CATS, 0.2, seed=0) == {CATS[0], CATS[1]}
    assert held_out(ROOT, CATS[::-1], 0.2, seed=0) == {CATS[0], CATS[1]}
    assert held_out(ROOT, CATS, 0.2, seed=1) != {CATS[0], CATS[1]}
    elsewhere = Path("elsewhere", "root")
    moved = [elsewhere / path.relative_to(ROOT) for path in CATS]
    assert held_out(elsewhere, moved, 0.2, seed=0) == {moved[0], moved[1]}


@pytest.mark.parametrize(("fraction", "count"), [(0.01, 1), (0.3, 3), (0.99, 9)])
def test_at_least_one_file_and_never_all(fraction, count):
    assert len(held_out(ROOT, CATS, fraction, seed=0)) == count


def test_a_new_file_moves_at_most_one_other():
    for number in range(20):
        new = ROOT / "cat" / f"new{number}.png"
        moved = held_out(ROOT, CATS, 0.2, seed=0) ^ held_out(ROOT, [*CATS, new], 0.2, seed=0)
        assert len(moved - {new}) <= 1


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 20, float("nan")])
def test_fractions_out_of_range_are_refused(fraction):
    with pytest.raises(ValueError, match=f"^val_fraction={fraction} is not between 0 and 1; 0.2 holds out a fifth"):
        refuse_fraction(fraction)


def test_what_is_said():
    assert sizes("ab", "c", "") == "2 train and 1 val"
    assert sizes("ab", "c", "def") == "2 train, 1 val and 3 test"
    assert validated_on("test/") == "validated on test/: the best checkpoint is then chosen on it"


def test_files_whose_names_are_not_utf8_are_held_out_like_others():
    files = [Path(os.fsdecode(b"root/\xff%d.png" % number)) for number in range(10)]
    assert len(held_out(Path("root"), files, 0.3, 0)) == 3


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"train": [0] * 4 + [1], "val": []}, "the classes are unequal: 4 of 'a' and 1 of 'b' (train 4 and 1), so"),
        ({"train": [0, 1] * 3, "val": [2, 2] * 6}, "12 of 'c' and 3 of 'a' (train 0 and 3; val 12 and 0), so that an"),
        ({"train": [0] * 3 + [1], "val": []}, ""),
        ({"train": [], "val": []}, ""),
    ],
)
def test_imbalance(labels, said):
    found = imbalance(("a", "b", "c"), labels)
    assert said in found if said else found == ""
