"""Fields of one annotation of COCO with values of any type: what is left out, and what is changed and said."""

import json
from pathlib import Path

import pytest

from wholeframe.data.detection.annotations import Account, Picture
from wholeframe.data.detection.coco_objects import instance_of

PICTURE = Picture(Path("a.png"), 1, 20, 16)
SQUARE = [2, 3, 12, 3, 12, 11, 2, 11]
RUNS = {"size": [16, 20], "counts": [35, 8, 277]}


def read(joints=0, **fields):
    """The object of an annotation with these fields, and the reasons in the account."""
    account = Account()
    entry = {"id": 1, "bbox": [2, 3, 10, 8], "area": 80, "iscrowd": 0, "segmentation": [SQUARE], **fields}
    found = instance_of(json.loads(json.dumps(entry)), PICTURE, 1, joints, "here", account)
    return found, list(account.cases)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"bbox": None}, "without a box of four numbers"),
        ({"bbox": {"x": 1}}, "without a box of four numbers"),
        ({"bbox": [True, 3, 10, 8]}, "without a box of four numbers"),
        ({"bbox": [[2], 3, 10, 8]}, "without a box of four numbers"),
        ({"bbox": [2, 3, 10**400, 8]}, "box without area or outside"),
        ({"bbox": [2, 3, float("inf"), 8]}, "box without area or outside"),
        ({"iscrowd": "no"}, "iscrowd that is not 0 or 1"),
        ({"iscrowd": 2}, "iscrowd that is not 0 or 1"),
        ({"iscrowd": []}, "iscrowd that is not 0 or 1"),
        ({"segmentation": 5}, "neither a list of polygons nor run lengths"),
        ({"segmentation": SQUARE}, "neither a list of polygons nor run lengths"),
        ({"segmentation": [[2, 3, 12, 3]]}, "fewer than three points"),
        ({"segmentation": [[2, 3, 12, 3, 7, 3]]}, "without area"),
        ({"segmentation": [[2, 3, 12, 3, 12]]}, "fewer than three points"),
        ({"segmentation": [["2", 3, 12, 3, 12, 11]]}, "without area"),
        ({"segmentation": [[float("nan"), 3, 12, 3, 12, 11]]}, "without area"),
        ({"segmentation": [[x + 50 for x in SQUARE]]}, "outside its image"),
        ({"segmentation": {}}, "without the `size` and the `counts`"),
        ({"segmentation": {**RUNS, "size": [20, 16]}}, "of another size than its image"),
        ({"segmentation": {**RUNS, "counts": [35, 8, 100]}}, "do not fill its image"),
        ({"segmentation": {**RUNS, "counts": [-1, 8, 313]}}, "not whole numbers"),
        ({"segmentation": {**RUNS, "counts": [320]}}, "without a pixel"),
        ({"segmentation": {**RUNS, "counts": "\u20ac"}}, "not whole numbers"),
        ({"keypoints": [3, 4, 2]}, "keypoints that are not 0 times"),
        ({"joints": 2, "keypoints": [3, 4, 2]}, "keypoints that are not 2 times"),
        ({"joints": 1, "keypoints": [3, 4, 7]}, "visibility of 0, 1 or 2"),
        ({"joints": 1, "keypoints": [3, float("nan"), 2]}, "keypoints that are not 1 times"),
        ({"joints": 1, "keypoints": "nose"}, "keypoints that are not 1 times"),
    ],
)
def test_what_is_left_out(fields, reason):
    found, (said,) = read(**fields)
    assert found is None and reason in said


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"bbox": [-3, 3, 15, 8]}, "box that reaches over the edge"),
        ({"bbox": [6, 3, 6, 8]}, "box that is not the one around its mask"),
        ({"segmentation": [SQUARE, [2, 3, 12, 3]]}, "polygon without area"),
        ({"bbox": [2, 3, 18, 8], "segmentation": [[2, 3, 30, 3, 30, 11, 2, 11]]}, "mask that reaches over the edge"),
        ({"area": -1}, "area that is not a positive number"),
        ({"area": "80"}, "area that is not a positive number"),
        ({"area": float("nan")}, "area that is not a positive number"),
        ({"area": 10**400}, "area that is not a positive number"),
        ({"area": 500}, "area that is larger than its box"),
        ({"joints": 1, "keypoints": [3, 4, 2], "num_keypoints": 5}, "num_keypoints that is not the number"),
        ({"joints": 1, "num_keypoints": 1}, "num_keypoints without keypoints"),
        ({"joints": 1, "keypoints": [90, 4, 2]}, "keypoint outside its image"),
        ({"joints": 1, "keypoints": [9, 4, 0]}, "a visibility of 0"),
    ],
)
def test_what_is_kept_and_said(fields, reason):
    found, said = read(**fields)
    assert found is not None and any(reason in case for case in said)


def test_what_is_replaced():
    assert read(area=None) == (read()[0], [])  # the area of the polygon
    assert read(area=None, segmentation=[])[0].area == read(area=0, segmentation=[])[0].area == 80
    assert read(segmentation=[SQUARE, [2, 3, 12, 3]])[0].segmentation == (tuple(SQUARE),)
    assert read(1, keypoints=[90, 4, 2])[0].keypoints == ((0, 0, 0),)
    assert read(iscrowd=None)[0].crowd is False and read(iscrowd=1.0)[0].crowd is True
