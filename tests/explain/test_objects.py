"""Pictures of objects, looked at by their pixels."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from wholeframe.explain import objects
from wholeframe.explain.found import Found
from wholeframe.explain.objects import colour_of, draw_objects, enlargement
from wholeframe.train.predict_objects import JOINTS

GREY = (120, 120, 120)


def found(size, boxes, labels=None, scores=None, **more):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.ones(len(boxes), dtype=torch.int64) if labels is None else torch.tensor(labels)
    scores = torch.linspace(0.9, 0.6, len(boxes)) if scores is None else torch.tensor(scores)
    return Found(size, boxes, labels, scores, **more)


def drawn(file, size, objects, classes=("cat", "dog"), names=()):
    photo = Image.new("RGB", size[::-1], GREY)
    draw_objects(photo, objects, classes, file, names)
    with Image.open(file) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def of_colour(pixels, colour):
    return (abs(pixels - colour).sum(axis=2) <= 3).nonzero()


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (1500, 2000)])
def test_boxes_are_where_they_are_in_the_photograph(tmp_path, size):
    height, width = size
    box = [width // 4, height // 2, width // 2, 3 * height // 4]
    pixels = drawn(tmp_path / "a.png", size, found(size, [box]))
    assert pixels.shape == (*size, 3)
    ys, xs = of_colour(pixels[box[1] :], colour_of(1))  # The label lies above.
    assert (xs.min(), xs.max(), ys.max() + box[1]) == (box[0], box[2], box[3])
    line = (abs(pixels[5 * height // 8, : box[0] + width // 8] - colour_of(1)).sum(axis=1) <= 3).sum()
    assert line == max(2, round(max(size) / 320))


def test_a_small_photograph_is_enlarged(tmp_path):
    assert [enlargement(size) for size in ((30, 40), (1, 1), (400, 20), (399, 20), (3000, 4000))] == [10, 400, 1, 2, 1]
    pixels = drawn(tmp_path / "a.png", (30, 40), found((30, 40), [[10, 15, 30, 25]]))
    assert pixels.shape == (300, 400, 3)
    ys, xs = of_colour(pixels[150:], colour_of(1))
    assert (xs.min(), xs.max(), ys.max() + 150) == (100, 300, 250)


def test_masks_colour_the_pixels_of_the_object_alone(tmp_path):
    size = (400, 600)
    mask = torch.zeros(1, 1, 28, 28)
    mask[..., :14] = 1  # the left half of the box
    one = found(size, [[100, 100, 300, 300]], masks=mask)
    pixels = drawn(tmp_path / "a.png", size, one)
    inside = pixels[150:290, 120:190]
    expected = [(a + b) // 2 for a, b in zip(GREY, colour_of(1), strict=True)]
    assert (abs(inside - expected) <= 1).all() and (pixels[150:290, 220:290] == GREY).all()
    assert one.mask(0)[150:290, 120:190].all()


def test_the_highest_score_lies_above(tmp_path):
    size, mask = (400, 600), torch.ones(2, 1, 28, 28)
    two = found(size, [[100, 100, 300, 300], [100, 100, 300, 300]], [1, 2], masks=mask)
    pixels = drawn(tmp_path / "a.png", size, two)
    lower = [(a + b) // 2 for a, b in zip(GREY, colour_of(2), strict=True)]
    upper = [(a + b) // 2 for a, b in zip(lower, colour_of(1), strict=True)]
    assert (abs(pixels[200, 200] - upper) <= 2).all()
    assert len(of_colour(pixels[120:], colour_of(1))[0]) > 500 > len(of_colour(pixels[140:280], colour_of(2))[0])


def test_keypoints_and_their_lines(tmp_path):
    size = (400, 600)
    points = torch.tensor([[[100.0 + 20 * k, 100 + 10 * (k % 5)] for k in range(17)]])
    one = found(size, [[90, 90, 440, 200]], keypoints=points, keypoint_scores=torch.ones(1, 17))
    pixels = drawn(tmp_path / "a.png", size, one, ["person"], JOINTS)
    assert all((pixels[int(y), int(x)] == 255).all() for x, y in points[0].tolist())
    a, b = (points[0, JOINTS.index(name)] for name in ("left_shoulder", "left_elbow"))
    between = [(a + (b - a) * part).round().int().tolist() for part in (0.3, 0.4, 0.5, 0.6, 0.7)]
    assert sum(tuple(pixels[y, x]) == colour_of(1) for x, y in between) >= 3
    without = drawn(tmp_path / "b.png", size, one, ["person"], [f"keypoint {k}" for k in range(17)])
    assert (without[200:] == pixels[200:]).all() and (without != pixels).any()


def test_colours_of_90_classes_differ():
    colours = [colour_of(label) for label in range(1, 91)]
    assert min(np.linalg.norm(np.subtract(a, b)) for a, b in itertools.combinations(colours, 2)) >= 20
    assert all(np.linalg.norm(np.subtract(a, b)) > 100 for a, b in itertools.pairwise(colours))


@pytest.fixture
def texts(monkeypatch):
    """Every label as it is written, with its rectangle."""
    seen = []
    write = objects.ImageDraw.ImageDraw.text

    def keep(self, at, text, **more):
        seen.append((text, self.textbbox(at, text, font=more["font"])))
        write(self, at, text, **more)

    monkeypatch.setattr(objects.ImageDraw.ImageDraw, "text", keep)
    return seen


@pytest.mark.parametrize("size", [(30, 40), (480, 640), (1500, 600)])
def test_labels_are_short_printable_and_within_the_picture(tmp_path, texts, size):
    height, width = size
    names = ["x" * 200, "猫\x1b[31m", "$\\frac$", "a\nb"]
    corners = [[width - 3, 0, width, 4], [0, height - 2, 2, height], [0, 0, width, height], [3, 3, 3, 3]]
    pixels = drawn(tmp_path / "a.png", size, found(size, corners, [1, 2, 3, 4]), names)
    assert {text.rpartition(" ")[0] for text, _ in texts} >= {"$\\frac$", "a\\nb"}
    for text, (left, top, right, bottom) in texts:
        assert text.isprintable() and "\x1b" not in text and len(text) <= 29
        assert left >= 0 and top >= 0 and right <= pixels.shape[1] and bottom <= pixels.shape[0], text


def test_labels_of_objects_at_one_place_are_apart(tmp_path, texts):
    boxes = [[100, 200, 300, 300]] * 4
    drawn(tmp_path / "a.png", (480, 640), found((480, 640), boxes))
    rectangles = [rectangle for _, rectangle in texts]
    for one, other in itertools.combinations(rectangles, 2):
        assert one[3] <= other[1] or other[3] <= one[1]


def test_a_hundred_boxes(tmp_path, texts):
    boxes = [[x, y, x + 50, y + 40] for x in range(0, 600, 60) for y in range(0, 400, 40)]
    pixels = drawn(tmp_path / "a.png", (400, 640), found((400, 640), boxes, masks=torch.ones(100, 1, 28, 28)))
    assert len(texts) == 100 and [text for text, _ in texts][-1] == "cat 0.90" and pixels.std() > 10


def test_without_objects_the_picture_is_the_photograph(tmp_path):
    pixels = drawn(tmp_path / "a.png", (480, 640), found((480, 640), []))
    assert (pixels == GREY).all()
