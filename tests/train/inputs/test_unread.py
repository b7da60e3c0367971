"""Samples that cannot be read: refused above the tolerance, summarised by reason, listed in the run folder."""

import csv
from pathlib import Path

import pytest
from names import NAMES

from wholeframe.train.inputs.images import ImageLocation
from wholeframe.train.inputs.unread import by_reason, refuse_unread, unread, write_left_out

LOST = [(f"{number}.jpg", "the file is empty" if number < 7 else "it is cut off") for number in range(9)]


def test_reasons():
    assert by_reason(LOST) == (
        "7 (the file is empty): '0.jpg', '1.jpg', '2.jpg', '3.jpg', '4.jpg' and 2 more; "
        "2 (it is cut off): '7.jpg', '8.jpg'"
    )
    assert unread(LOST, 90, "images").startswith("9 of 90 images could not be read and are left out: 7 (the file")
    assert unread([], 90, "images") == ""


@pytest.mark.parametrize(
    ("total", "tolerate", "offered"), [(899, 0.01, "0.05"), (100, 0.05, "0.1"), (10, 0.5, "1"), (9, 0.0, "1")]
)
def test_too_many_are_refused(total, tolerate, offered):
    message = (
        rf"^9 of {total} clips of 'data' cannot be read, more than the tolerated fraction {tolerate:g}: 7 \(the .* "
    )
    with pytest.raises(ValueError, match=message + f"Repair them, or give --tolerate {offered} to train without them$"):
        refuse_unread(Path("data"), LOST, total, "clips", tolerate)
    refuse_unread(Path("data"), LOST, total, "clips", float(offered))


def test_a_hundredth_is_tolerated():
    refuse_unread(Path("data"), LOST, 900, "clips", 0.01)
    refuse_unread(Path("data"), [], 0, "clips", 0.0)


@pytest.mark.parametrize("tolerate", [-0.1, 1.1, float("nan"), 5])
def test_fractions(tolerate):
    with pytest.raises(ValueError, match=r"tolerate must be a fraction from 0 to 1, got .* \(0.01 is usual\)"):
        ImageLocation(Path("data"), tolerate=tolerate)


class Some:
    def __init__(self, rows):
        self.left_out = lambda: rows


def test_the_list_in_the_run_folder(tmp_path):
    rows = [(name, "the file is empty") for name in NAMES]
    file = tmp_path / "left_out.csv"
    assert write_left_out(Some(rows), tmp_path) == (
        f"everything that is not used is listed with its reason in '{file}'"
    )
    with file.open(newline="", encoding="utf-8") as stream:
        read = list(csv.reader(stream))
    assert read[0] == ["file", "reason"] and len(read) == len(rows) + 1
    assert [row[0] for row in read[1:-1]] == NAMES[:-1] and read[-1][0] == r"not utf-8 \udcff\udcfe"
    assert write_left_out(Some([]), tmp_path) == "" and not file.exists()
