"""Lines that cannot be used, and what is cut or replaced in those that can."""

from pathlib import Path

import pytest

from wholeframe.data.detection.annotations import Account, Picture
from wholeframe.data.detection.yolo_lines import instance_of

PICTURE = Picture(Path("a.png"), 1, 20, 10)


def read(line, keypoints=(0, 0)):
    account = Account()
    return instance_of(line, PICTURE, 2, keypoints, 1, "here", account), list(account.cases)


@pytest.mark.parametrize(
    ("line", "keypoints", "reason"),
    [
        ("0.5 0.5 0.5 0.5 0.4", (0, 0), "class 0.5, which is not a whole number"),
        ("inf 0.5 0.5 0.5 0.4", (0, 0), "class inf, which is not a whole number"),
        ("1e300 0.5 0.5 0.5 0.4", (0, 0), "of 2 (they count from 0)"),
        ("0 0.5 0.5 1e400 0.4", (0, 0), "larger than its image"),
        ("0 100 50 20 30", (0, 0), "larger than its image"),
        ("0 10 5 20 10", (0, 0), "larger than its image"),
        ("0 1 1 12 1 12 9", (0, 0), "larger than its image"),
        ("0 0.1 0.1 nan 0.1 0.6 0.9", (0, 0), "polygon without area"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3", (0, 0), "polygon without area"),
        ("0 5 5 6 5 6 6", (0, 0), "box without area or outside"),
        ("0 0.1 0.1 0.6 0.1 0.6 0.9", (2, 3), "line of 6 numbers"),
        ("0 0.5 0.5 0.5 0.4 0.5 0.5 nan 0 0 0", (2, 3), "a visibility that is not 0, 1 or 2"),
        ("0 0.5 0.5 0.5 0.4 0.5 0.5 7 0 0 0", (2, 3), "a visibility that is not 0, 1 or 2"),
        ("0 0.5 0.5 0.5 0.4 nan 0.5 0 0", (2, 2), "without a finite place"),
    ],
)
def test_what_is_left_out(line, keypoints, reason):
    found, (said,) = read(line, keypoints)
    assert found is None and reason in said


@pytest.mark.parametrize(
    ("line", "keypoints", "reason"),
    [
        ("0 0.1 0.5 0.5 0.4", (0, 0), "box that reaches over the edge"),
        ("0 0.5 0.5 0.5 0.4 1.5 0.5 2 0.1 0.1 2", (2, 3), "keypoint outside its image"),
        ("0 0.5 0.5 0.5 0.4 0.5 0.5 0 0.1 0.1 2", (2, 3), "a visibility of 0"),
    ],
)
def test_what_is_kept_and_said(line, keypoints, reason):
    found, (said,) = read(line, keypoints)
    assert found is not None and reason in said


def test_a_box_among_lines_with_keypoints():
    assert read("0 0.5 0.5 0.5 0.4", (2, 3))[0].keypoints is None
