"""The tables of a comparison: a row per training, a row per arm, and paired differences."""

import csv
import dataclasses

import pytest

from wholeframe.train.compare import Result, ShapesResult
from wholeframe.train.paired import Paired
from wholeframe.train.query_statistics import FIGURES
from wholeframe.train.summaries import HEADER, cells, differences, header, markdown, summarise, table, write_csv

ONE = Result("gist", "nl", 0, params=1234, macs=5_000_000, accuracy=0.5, train_s=2.0, infer_ms=1.0)
TWO = dataclasses.replace(ONE, seed=1, accuracy=0.7, train_s=4.0, infer_ms=3.0)
BASE = dataclasses.replace(ONE, block="none", params=0, accuracy=0.25)
OTHER = dataclasses.replace(ONE, block="gc", accuracy=0.9)


def test_a_row_per_task_and_block_with_means_over_seeds():
    first, second = summarise([ONE, OTHER, TWO])
    assert (first.task, first.block, first.params, first.macs) == ("gist", "nl", 1234, 5_000_000)
    assert first.accuracies == (0.5, 0.7) and (first.train_s, first.infer_ms) == (3.0, 2.0)
    assert second.block == "gc" and second.accuracies == (0.9,)


def test_accuracy_with_its_spread_where_there_is_one():
    first, second = summarise([ONE, OTHER, TWO])
    assert first.accuracy() == "0.600 ± 0.141" and second.accuracy() == "0.900"


def test_cells_stand_under_the_header():
    (row,) = summarise([ONE])
    shown = dict(zip(HEADER, cells(row), strict=True))
    assert shown["block"] == "nl" and shown["new params"] == "1,234" and shown["accuracy"] == "0.500"


def test_tables(tmp_path):
    write_csv([ONE, TWO], tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    fields = [
        field for field in dataclasses.fields(Result) if field.type in (str, int, float) and field.name in rows[0]
    ]
    empty = (*FIGURES, "on_answer")
    assert all(row[name] == "" for row in rows for name in empty), "what there is not is left empty"
    assert len(fields) == len(rows[0]) - len(empty) - 1, "all other columns but the difference are those of a result"
    assert [Result(**{f.name: f.type(row[f.name]) for f in fields}) for row in rows] == [ONE, TWO]
    assert [row["difference"] for row in rows] == ["", ""]

    text = markdown(summarise([ONE, OTHER]), "wholeframe compare --seeds 1")
    assert "Made by `wholeframe compare --seeds 1`" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 4 and {line.count("|") for line in table} == {len(HEADER) + 1}


def test_a_second_figure_where_a_task_has_one(tmp_path):
    """A table without `shapes` has the columns that it always had."""
    first, second = ({**dataclasses.asdict(row), "task": "shapes"} for row in (ONE, TWO))
    found = [ShapesResult(**first, own_form=0.9), ShapesResult(**second, own_form=1.0)]
    (row,) = summarise(found)
    assert header([row]) == (*HEADER[:5], "score", "own form", *HEADER[6:]) and header(summarise([ONE])) == HEADER
    shown = dict(zip(header([row]), cells(row, header([row])), strict=True))
    assert (shown["score"], shown["own form"]) == ("0.600 ± 0.141", "0.950 ± 0.071")
    (other,) = summarise([ONE])
    assert dict(zip(header([row]), cells(other, header([row])), strict=True))["own form"] == ""
    for results, there in (([ONE], False), ([ONE, *found], True)):
        write_csv(results, tmp_path / "results.csv")
        assert ("own_form" in (tmp_path / "results.csv").read_text()) == there


def test_differences_are_to_the_baseline_under_the_same_seed(tmp_path):
    second = dataclasses.replace(BASE, seed=1, accuracy=0.5)
    results = [BASE, ONE, OTHER, second, TWO]
    base = {"gist": "none"}
    assert differences(results, base) == {
        ("gist", "nl", 0): 0.25,
        ("gist", "gc", 0): 0.65,
        ("gist", "nl", 1): pytest.approx(0.2),
    }
    bare, nl, gc = summarise(results, base)
    assert bare.paired is None and bare.difference() == ""
    assert nl.paired == Paired((0.25, 0.7 - 0.5)) and gc.difference() == "+0.650"
    assert nl.difference() == "+0.225 [-0.093, +0.543]", "t of one degree of freedom is 12.706"
    write_csv(results, tmp_path / "results.csv", base)
    with (tmp_path / "results.csv").open(newline="") as stream:
        assert [row["difference"][:4] for row in csv.DictReader(stream)] == ["", "0.25", "0.65", "", "0.19"]
    assert "95% interval by Student's t" in markdown([bare, nl], "wholeframe compare")
    assert "Student" not in markdown([bare], "wholeframe compare")


def test_a_seed_without_its_baseline_has_no_difference():
    assert differences([BASE, ONE, TWO], {"gist": "none"}).keys() == {("gist", "nl", 0)}
    assert differences([ONE, TWO], {}) == differences([BASE, ONE], {"recall": "none"}) == {}


def test_unequal_batches_are_no_pair():
    other = dataclasses.replace(ONE, batches="b")
    with pytest.raises(ValueError, match="'nl' and 'none' on 'gist' did not train on the same batches under seed 0"):
        differences([dataclasses.replace(BASE, batches="a"), other], {"gist": "none"})


def test_names_have_no_meaning_in_markdown():
    assert table(("row", "figure"), [("a|b*", "1.0")], names=1)[-1] == r"| a\|b\* | 1.0 |"
