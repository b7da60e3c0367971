"""Annotations of rectangles in synthetic images, and detections near them."""

from pathlib import Path

import pytest
import torch

from wholeframe.data.detection.annotations import Annotations, Instance, Picture

WIDTH, HEIGHT = 240, 200
JOINTS = ("nose", "left_eye", "right_hip")


def draw(generator, low, high):
    return int(torch.randint(low, high, (), generator=generator))


def rectangle(generator, label, *, crowd=False, named=True):
    """An object of 10 to 140 pixels: small, medium or large for COCO."""
    side = (14, 50, 130)[draw(generator, 0, 3)]
    x1, y1 = draw(generator, 0, WIDTH - side - 10), draw(generator, 0, HEIGHT - side - 10)
    x2, y2 = x1 + side + draw(generator, -4, 10), y1 + side + draw(generator, -4, 10)
    if crowd:  # run lengths, column by column
        outside, inside = HEIGHT - (y2 - y1), y2 - y1
        counts = [x1 * HEIGHT + y1, *[inside, outside] * (x2 - x1 - 1), inside]
        segmentation = {"size": [HEIGHT, WIDTH], "counts": [*counts, HEIGHT * WIDTH - sum(counts)]}
    else:
        segmentation = ((x1, y1, x2, y1, x2, y2, x1, y2),)
    points = tuple((draw(generator, x1, x2), draw(generator, y1, y2), 2 * named) for _ in JOINTS)
    return Instance(
        label, (x1, y1, x2, y2), segmentation, points if named else ((0, 0, 0),) * 3, crowd, (x2 - x1) * (y2 - y1)
    )


@pytest.fixture
def annotations():
    """Eight images of three classes, of which one has no object; ids neither sorted nor successive, objects without.

    One object in three has no labelled keypoints, every second image a crowd, and one image nothing.
    """
    generator = torch.Generator().manual_seed(7)
    pictures = [Picture(Path("empty.jpg"), 11, WIDTH, HEIGHT)]
    for number in (40, 3, 99, 22, 57, 4, 8):
        objects = [rectangle(generator, draw(generator, 1, 3), named=draw(generator, 0, 3) > 0) for _ in range(6)]
        crowds = [rectangle(generator, 1, crowd=True)] if number % 2 else []
        pictures.append(Picture(Path(f"{number}.jpg"), number, WIDTH, HEIGHT, (*objects, *crowds)))
    return Annotations(Path("made.json"), ("cat", "dog", "owl"), tuple(pictures), (90, 5, 18), JOINTS)


def masks_of(boxes):
    """`(n, 1, h, w)`: the pixels in the boxes."""
    y, x = torch.arange(HEIGHT)[:, None], torch.arange(WIDTH)
    x1, y1, x2, y2 = boxes.round()[:, :, None, None].unbind(1)
    return ((x >= x1) & (x < x2) & (y >= y1) & (y < y2))[:, None]


@pytest.fixture
def truth(annotations):
    """The objects as detections."""

    def detection(picture):
        objects = [instance for instance in picture.instances if not instance.crowd]
        boxes = torch.tensor([instance.box for instance in objects], dtype=torch.float64).reshape(-1, 4)
        return {
            "boxes": boxes,
            "labels": torch.tensor([instance.label for instance in objects], dtype=torch.int64),
            "scores": torch.ones(len(objects)),
            "masks": masks_of(boxes),
            "keypoints": torch.tensor([instance.keypoints for instance in objects]).reshape(-1, 3, 3).double(),
        }

    return {picture.id: detection(picture) for picture in annotations.pictures}


@pytest.fixture
def detections(truth):
    """Two detections near every object, some with another label, with scores of which many are equal."""
    generator = torch.Generator().manual_seed(1)

    def near(objects):
        count = 2 * len(objects["boxes"])
        boxes = objects["boxes"].repeat(2, 1)
        size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
        boxes = boxes + 0.06 * size * torch.randn(count, 4, generator=generator)
        boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2])
        labels = objects["labels"].repeat(2)
        other = torch.rand(count, generator=generator) < 0.2
        points = objects["keypoints"].repeat(2, 1, 1) + 4 * torch.randn(count, 3, 3, generator=generator)
        return {
            "boxes": boxes,
            "labels": torch.where(other, torch.randint(1, 4, (count,), generator=generator), labels),
            "scores": torch.randint(1, 10, (count,), generator=generator) / 10,
            "masks": masks_of(boxes).float() * 0.7,
            "keypoints": points,
        }

    return {number: near(objects) for number, objects in truth.items()}
