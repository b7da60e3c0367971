"""The lines of finished trainings, and the refusal of another comparison."""

import json

import pytest

from wholeframe.train.compare import Result, ShapesResult
from wholeframe.train.finished import FILE, read_finished, refuse_other_record, write_finished

ONE = Result(
    "gist",
    "nl",
    0,
    params=9,
    macs=99,
    accuracy=0.1 + 0.2,
    train_s=2.0,
    infer_ms=1.0,
    batches="ab",
    losses=[0.1 + 0.2, 1.0],
)
TWO = ShapesResult("shapes", "gc", 1, 9, 99, 0.5, 2.0, 1.0, own_form=0.25)
KEYS = [ONE.key, TWO.key, ("gist", "nl", 1)]


def test_results_come_back_to_the_bit(tmp_path):
    assert read_finished(tmp_path, KEYS) == {}
    write_finished([ONE, TWO], tmp_path)
    assert read_finished(tmp_path, KEYS) == {ONE.key: ONE, TWO.key: TWO}
    assert [file.name for file in tmp_path.iterdir()] == [FILE], "it is replaced as a whole"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[1]",
        "null",
        "\udcff",
        json.dumps({"task": "gist"}),
        json.dumps({**ONE.__dict__, "accuracy": "high"}),
        json.dumps({**ONE.__dict__, "seed": True}),
        json.dumps({**ONE.__dict__, "losses": ["<b>"]}),
        json.dumps({**ONE.__dict__, "losses": 0.5}),
        json.dumps({**ONE.__dict__, "more": 1}),
        json.dumps({**ONE.__dict__, "block": "gc"}),
        json.dumps(TWO.__dict__),
    ],
)
def test_damaged_lines_are_named(tmp_path, line):
    write_finished([TWO], tmp_path)
    with (tmp_path / FILE).open("a", errors="surrogateescape") as stream:
        stream.write(f"{line}\n")
    with pytest.raises(ValueError, match=r"line 2 of '.*trainings.jsonl' is damaged, or of no training of this"):
        read_finished(tmp_path, KEYS)


def test_trainings_without_a_record_are_refused(tmp_path):
    write_finished([ONE], tmp_path)
    with pytest.raises(ValueError, match=r"has finished trainings, and '.*recipe.json', which says what they"):
        refuse_other_record(tmp_path, {})


def test_another_record_is_refused_by_its_first_difference(tmp_path):
    record = {"options": {"steps": "3"}, "arms": [1], "environment": {"torch": "2", "commit": "a"}}
    refuse_other_record(tmp_path, record)
    (tmp_path / "recipe.json").write_text(json.dumps(record))
    refuse_other_record(tmp_path, record)
    refuse_other_record(tmp_path, {**record, "environment": {"torch": "2", "commit": "b"}})
    refuse_other_record(tmp_path, {**record, "environment": {"torch": "2"}})
    for other, sentence in (
        ({**record, "options": {"steps": "4"}}, 'options.steps was "3" there and is "4" here'),
        ({**record, "arms": [1, 2]}, r"arms was \[1\] there and is \[1, 2\] here"),
        ({**record, "environment": {"torch": "3"}}, 'environment.torch was "2" there and is "3" here'),
        ({**record, "new": 1}, "new was null there and is 1 here"),
    ):
        with pytest.raises(ValueError, match=f"holds another comparison .{sentence}.; give another --out, or repeat"):
            refuse_other_record(tmp_path, other)
