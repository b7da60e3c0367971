"""Objects in images, as every format is read: values, and an account of what was left out or changed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wholeframe.messages import counted, listed, shown

Box = tuple[float, float, float, float]
Keypoint = tuple[float, float, int]

LARGEST = 1e6
"""Pixels from the corner of an image beyond which a number is not a coordinate."""

PATH = 4096
"""Characters of a path in a text: all of them."""

REASONS = 20
"""Reasons of an account that its text lists."""


@dataclass(frozen=True)
class Instance:
    """One object in an image.

    Args:
        label: index of its class, from 1; 0 is the background, as in torchvision.
        box: x1, y1, x2, y2 in pixels, within the image.
        segmentation: polygons, each x1, y1, x2, y2, ...; or a run-length encoding of COCO; None without a mask.
        keypoints: x, y in pixels and a visibility: 0 not labelled, 1 hidden, 2 visible. None without keypoints.
        crowd: a region of many objects, which an evaluation neither counts nor punishes.
        area: of the mask in pixels, which COCO divides small, medium and large objects by.
        id: number of the annotation in its file.
    """

    label: int
    box: Box
    segmentation: tuple[tuple[float, ...], ...] | Mapping[str, Any] | None = None
    keypoints: tuple[Keypoint, ...] | None = None
    crowd: bool = False
    area: float = 0.0
    id: int = 0


@dataclass(frozen=True)
class Picture:
    """An image file with its objects.

    Args:
        file: the image.
        id: number of the image in its file of annotations.
        width, height: in pixels.
        instances: its objects.
    """

    file: Path
    id: int
    width: int
    height: int
    instances: tuple[Instance, ...] = ()


class Account:
    """What was left out or changed while reading, by reason, with the place of each case."""

    def __init__(self) -> None:
        self.cases: dict[str, list[str]] = {}

    def add(self, reason: str, place: str) -> None:
        """Write down one case: a reason in the singular, such as "box without area (left out)"."""
        self.cases.setdefault(shown(reason), []).append(shown(place))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Every case: its place and its reason."""
        return ((place, reason) for reason, places in self.cases.items() for place in places)

    def __str__(self) -> str:
        """`2 x box without area, left out (annotation 7 of a.jpg, annotation 9 of b.jpg)`, for every reason."""
        reasons = [f"{len(places)} x {reason} ({listed(places, most=3)})" for reason, places in self.cases.items()]
        return listed(reasons, most=REASONS, between="; ")


@dataclass(frozen=True)
class Annotations:
    """The images of a split with their objects.

    Args:
        source: the file or folder that they were read from.
        classes: names of the classes, without the background; label k is `classes[k - 1]`.
        pictures: the images.
        category_ids: the number of each class in the file, which results for COCO's evaluation need.
        keypoints: names of the keypoints of an object.
        account: what was left out or changed.
    """

    source: Path
    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    category_ids: tuple[int, ...]
    keypoints: tuple[str, ...] = ()
    account: Account = field(default_factory=Account, compare=False)

    @property
    def instances(self) -> int:
        """Number of objects."""
        return sum(len(picture.instances) for picture in self.pictures)

    @property
    def masks(self) -> bool:
        """Whether every object has a mask."""
        return self.instances > 0 and all(
            instance.segmentation is not None for picture in self.pictures for instance in picture.instances
        )

    def _labelled(self) -> str:
        """How many of the objects have keypoints, without which a detector of keypoints does not learn them."""
        if not self.keypoints:
            return ""
        objects = [instance for picture in self.pictures for instance in picture.instances]
        count = sum(any(visible for *_, visible in instance.keypoints or ()) for instance in objects)
        return f", {count} of them with keypoints"

    def describe(self) -> str:
        """One sentence: the numbers of images, objects and classes, and what was left out."""
        empty = sum(not picture.instances for picture in self.pictures)
        without = f", {empty} without any" if empty else ""
        found = (
            f"{counted(len(self.pictures), 'image')} with {counted(self.instances, 'object')}{self._labelled()}"
            f"{without}, {len(self.classes)} class{'es' * (len(self.classes) != 1)}"
        )
        return f"'{shown(self.source, PATH)}': {found}{'; ' if self.account.cases else ''}{self.account}"


def clipped(box: Sequence[float], width: int, height: int) -> Box | None:
    """The part of a box within the image; None for a box that has none there, or numbers that are not finite."""
    x1, y1, x2, y2 = box
    if not all(-LARGEST < value < LARGEST for value in box):  # also refuses nan
        return None
    x1, x2 = max(x1, 0.0), min(x2, float(width))
    y1, y2 = max(y1, 0.0), min(y2, float(height))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def fitted(box: Sequence[float], width: int, height: int, place: str, account: Account) -> Box | None:
    """The part of a box within the image, None if there is none; the account has what is cut and left out."""
    cut = clipped(box, width, height)
    if cut is None:
        account.add("box without area or outside its image, left out", place)
    elif any(abs(now - then) > 1 for now, then in zip(cut, box, strict=True)):
        account.add("box that reaches over the edge of its image, cut there", place)
    return cut


def points_within(points: Iterable[Keypoint], width: int, height: int, place: str, account: Account) -> list[Keypoint]:
    """The keypoints of an object; what is not labelled is at (0, 0), and the account has what that changes."""
    found: list[Keypoint] = []
    for x, y, visible in points:
        if visible and not (0 <= x < width and 0 <= y < height):
            account.add("keypoint outside its image, taken as not labelled", place)
            visible = 0
        elif not visible and (x or y):
            account.add("keypoint with a place and a visibility of 0, taken as not labelled", place)
        found.append((x, y, visible) if visible else (0.0, 0.0, 0))
    return found


def note_mixed_masks(pictures: Iterable[Picture], account: Account) -> None:
    """Write down the objects without a mask where others have one: masks are used only if every object has one."""
    objects = [(instance, picture) for picture in pictures for instance in picture.instances]
    without = [(instance, picture) for instance, picture in objects if instance.segmentation is None]
    if len(without) < len(objects):
        for instance, picture in without:
            account.add(
                "object without a mask where others have one, so that no masks are used",
                f"annotation {instance.id} of {picture.file.name}",
            )
