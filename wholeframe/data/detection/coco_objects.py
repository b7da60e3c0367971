"""One annotation of COCO -> an object, or the reason why it is left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from wholeframe.data.detection.annotations import Account, Instance, Keypoint, Picture, fitted, points_within
from wholeframe.data.detection.json_values import finite, whole
from wholeframe.data.detection.polygons import box_around, enclosed
from wholeframe.data.detection.run_lengths import why_not_run_lengths

Entry = Mapping[str, Any]
Mask = tuple[tuple[float, ...], ...] | Mapping[str, Any]

APART = 2.0
"""Pixels between the sides of a box and of its mask, above which they are those of different objects."""


class Unusable(Exception):
    """An annotation that is left out; the text is the reason."""


def instance_of(
    entry: Entry, picture: Picture, label: int, joints: int, place: str, account: Account
) -> Instance | None:
    """The object of an annotation; None if it cannot be used, which is then in the account.

    Args:
        entry: the annotation.
        picture: its image.
        label: of its class.
        joints: number of keypoints of an object.
        place: the annotation and its image, for the account.
        account: takes what is left out or changed.
    """
    given = entry.get("bbox")
    if not (isinstance(given, list) and len(given) == 4 and all(type(value) in (int, float) for value in given)):
        account.add("annotation without a box of four numbers, left out", place)
        return None
    x, y, w, h = finite(given) or (0.0, 0.0, 0.0, 0.0)  # a box far from any image has no area either
    box = fitted((x, y, x + w, y + h), picture.width, picture.height, place, account)
    if box is None:
        return None
    try:
        crowd = _crowd(entry.get("iscrowd"))
        mask = _mask(entry.get("segmentation"), picture, place, account)
        keypoints = _keypoints(entry, joints, picture, place, account)
    except Unusable as reason:
        account.add(str(reason), place)
        return None
    if isinstance(mask, tuple):
        around = fitted(box_around(mask), picture.width, picture.height, place, Account())
        if around is None or any(abs(a - b) > APART for a, b in zip(around, box, strict=True)):
            account.add("box that is not the one around its mask, both kept", place)
    own = sum(map(enclosed, mask)) if isinstance(mask, tuple) else (box[2] - box[0]) * (box[3] - box[1])
    area = _area(entry.get("area"), own, w * h, place, account)
    return Instance(label, box, mask, keypoints, crowd, area, whole(entry.get("id")) or 0)


def _crowd(given: Any) -> bool:
    if given is None:
        return False
    if type(given) not in (bool, int, float) or given not in (0, 1):
        raise Unusable("iscrowd that is not 0 or 1, left out")
    return bool(given)


def _area(given: Any, own: float, around: float, place: str, account: Account) -> float:
    """The area in the file. An absent one is that of the polygons, or of the box."""
    if given is None:
        return own
    if type(given) not in (int, float) or not 0 < given < 1e12:
        account.add("area that is not a positive number, replaced by that of the polygons or of the box", place)
        return own
    if given > 1.01 * around + 1:
        account.add("area that is larger than its box, kept", place)
    return float(given)


def _mask(given: Any, picture: Picture, place: str, account: Account) -> Mask | None:
    if given is None or given == []:
        return None
    if isinstance(given, dict):
        if reason := why_not_run_lengths(given, picture.width, picture.height):
            raise Unusable(f"mask {reason}, left out with its box")
        return given
    if not isinstance(given, list) or not all(isinstance(polygon, list) for polygon in given):
        raise Unusable("mask that is neither a list of polygons nor run lengths, left out with its box")
    usable = tuple(tuple(polygon) for p in given if (polygon := _polygon(p, picture)) is not None)
    if not usable:
        raise Unusable(
            "mask without area (a polygon of fewer than three points) or outside its image, left out with its box"
        )
    if len(usable) < len(given):
        account.add("polygon without area, outside its image or of other values, left out of its mask", place)
    x1, y1, x2, y2 = box_around(usable)
    if min(x1, y1) < -1 or x2 > picture.width + 1 or y2 > picture.height + 1:
        account.add("mask that reaches over the edge of its image, cut there", place)
    return usable


def _polygon(given: list[Any], picture: Picture) -> list[float] | None:
    """The coordinates, if there are at least three points that enclose an area, some of it in the image."""
    values = finite(given)
    if values is None or len(values) < 6 or len(values) % 2 or enclosed(values) == 0:
        return None
    inside = fitted(box_around([values]), picture.width, picture.height, "", Account())
    return values if inside else None


def _keypoints(
    entry: Entry, joints: int, picture: Picture, place: str, account: Account
) -> tuple[Keypoint, ...] | None:
    given = entry.get("keypoints")
    if given is None or given == []:
        if joints and entry.get("num_keypoints"):
            account.add("num_keypoints without keypoints", place)
        return None
    values = finite(given, 3 * joints) if joints else None
    if values is None or any(v not in (0, 1, 2) for v in values[2::3]):
        raise Unusable(
            f"keypoints that are not {joints} times x, y and a visibility of 0, 1 or 2, left out with the box"
        )
    if "num_keypoints" in entry and entry["num_keypoints"] != sum(v > 0 for v in values[2::3]):
        account.add("num_keypoints that is not the number of its labelled keypoints, which counts", place)
    return tuple(points_within(_triples(values), picture.width, picture.height, place, account))


def _triples(values: Sequence[float]) -> list[Keypoint]:
    return [(x, y, int(v)) for x, y, v in zip(values[0::3], values[1::3], values[2::3], strict=True)]
