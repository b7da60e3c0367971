"""Sentences and files of `wholeframe cost`."""

import csv

import pytest

from wholeframe.commands.cost_table import blocks_cost, kinds, place, write_modules
from wholeframe.models.cost import Row
from wholeframe.models.turns import Measured


def row(name, block=False, kept=0):
    return Row(name, "Kind", block, 1, 2, 3, kept, 4)


def test_places():
    rows = [row(""), row("layer1"), row("layer1.0.wholeframe", block=True), row("layer10"), row("fc")]
    assert [place(each.name, rows) for each in rows] == [
        "rest of the network",
        "rest of layer1",
        "layer1.0",
        "layer10",
        "fc",
    ]
    assert place("", [row("")]) == "the network"


def test_kinds():
    assert kinds(["GC"] * 2 + ["NL"]) == "2 GC blocks and 1 NL block"


def sentences(full, bare, blocks="13 GC blocks"):
    full, bare = (
        dict.fromkeys(("inference", "training step"), Measured(tuple(ms), mib))
        for ms, mib in ((full, 12.0), (bare, 10.0))
    )
    return blocks_cost(blocks, "net", full, bare)


def test_ratios_are_those_within_a_turn():
    """A machine that becomes ten times slower does not change them."""
    drift = [1, 1, 10, 10, 1, 5, 7, 1, 2]
    inference, training = sentences([1.25 * slow for slow in drift], drift)
    assert inference == (
        "13 GC blocks cost this net 25.0 % of time (25.0 % to 25.0 %) and 20.0 % of memory in inference"
    )
    assert training.endswith("in a training step")


@pytest.mark.parametrize("sides", [(0.9, 1.1), (1.0, 1.0)])
def test_what_cannot_be_told_from_zero_is_said(sides):
    told = sentences([1, 1, 1, *sides, *sides, *sides], [1] * 9, "1 GC block")[0]
    assert told.startswith("1 GC block costs this net 0 % of time (") and "cannot tell from 0" in told


def test_a_column_that_is_not_known_is_empty(tmp_path):
    write_modules([row("", kept=None), row("a,b")], tmp_path / "cost.csv")
    with (tmp_path / "cost.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[1] == ["", "Kind", "no", "1", "2", "3", "", "4"] and rows[2][0] == "a,b"
