"""Draw the objects that a detector finds: boxes, masks, keypoints, and labels with class and score."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.colors import hsv_to_rgb
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image
from torchvision.utils import draw_bounding_boxes, draw_keypoints, draw_segmentation_masks

from wholeframe.explain.figures import drawable
from wholeframe.explain.found import Found, class_name

Colour = tuple[int, int, int]

LEGIBLE = 400
"""pixels of the longer side below which a picture is drawn enlarged, so that its labels can be read"""

SHADES = ((1.0, 1.0), (0.5, 1.0), (1.0, 0.6))
"""saturation and brightness of the colours, in turn"""

LIMBS = (
    *(("nose", f"{side}_eye") for side in ("left", "right")),
    *((f"{side}_eye", f"{side}_ear") for side in ("left", "right")),
    *((f"{side}_ear", f"{side}_shoulder") for side in ("left", "right")),
    *((f"{side}_shoulder", f"{side}_elbow") for side in ("left", "right")),
    *((f"{side}_elbow", f"{side}_wrist") for side in ("left", "right")),
    *((f"{side}_shoulder", f"{side}_hip") for side in ("left", "right")),
    *((f"{side}_hip", f"{side}_knee") for side in ("left", "right")),
    *((f"{side}_knee", f"{side}_ankle") for side in ("left", "right")),
    ("left_eye", "right_eye"),
    ("left_shoulder", "right_shoulder"),
    ("left_hip", "right_hip"),
)
"""the lines between the keypoints of a person, as COCO has them"""


class Stroke(NamedTuple):
    """Sizes in pixels, in proportion to the picture."""

    line: int
    letter: int

    @classmethod
    def of(cls, size: tuple[int, int]) -> "Stroke":
        return cls(max(2, round(max(size) / 320)), max(12, round(max(size) / 48)))


def enlargement(size: tuple[int, int]) -> int:
    """The whole number by which a picture of `(height, width)` is enlarged: 1 from `LEGIBLE` pixels on."""
    return -(-LEGIBLE // max(size))


def draw_objects(
    photo: Image.Image, found: Found, classes: Sequence[str], file: Path, keypoints: Sequence[str] = ()
) -> None:
    """Draw objects over a photograph; those with a higher score lie above the others.

    Every class has its own colour, the same in every picture. Keypoints that are named as those of a person in COCO
    are connected by lines.

    Args:
        photo: the photograph, RGB.
        found: its objects, all of which are drawn.
        classes: the names of the classes; label k is `classes[k - 1]`.
        file: the PNG to write, of the size of the photograph; a photograph below 400 pixels is enlarged.
        keypoints: the names of the keypoints.
    """
    factor = enlargement(found.size)
    picture = pil_to_tensor(photo).repeat_interleave(factor, dim=1).repeat_interleave(factor, dim=2)
    found, stroke = found.enlarged(factor), Stroke.of((photo.height * factor, photo.width * factor))
    if len(found):
        picture = _with_masks(picture, found)
        picture = draw_bounding_boxes(
            picture, _inside(found).flip(0), colors=[*_colours(found)[::-1]], width=min(stroke.line, min(found.size))
        )
        picture = _with_keypoints(picture, found, keypoints, stroke)
    drawn = to_pil_image(picture)
    if len(found):
        _write_labels(drawn, found, classes, stroke)
    drawn.save(file, format="PNG")


def colour_of(label: int) -> Colour:
    """The colour of a class: 90 that differ, in three shades; neighbours differ in shade and by 144 degrees of hue."""
    number, shade = divmod(label, len(SHADES))
    hue = (0.4 * shade + number * 11 / 30 + number // 30 / 60) % 1
    red, green, blue = hsv_to_rgb((hue, *SHADES[shade]))
    return round(255 * red), round(255 * green), round(255 * blue)


def _colours(found: Found) -> list[Colour]:
    return [colour_of(label) for label in found.labels.tolist()]


def _inside(found: Found) -> Tensor:
    """The boxes with their edges on pixels of the picture."""
    height, width = found.size
    return found.boxes.clamp(min=0).minimum(torch.tensor([width - 1, height - 1] * 2))


def _with_masks(picture: Tensor, found: Found) -> Tensor:
    """Colour the pixels of the objects, from the lowest score on."""
    for index in reversed(range(len(found) if found.masks is not None else 0)):
        mask = found.mask(index)
        if mask.any():
            ys, xs = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
            # Only the part with the mask is mixed: a picture of 12 million pixels has no copy per object.
            part = slice(int(ys[0]), int(ys[-1]) + 1), slice(int(xs[0]), int(xs[-1]) + 1)
            colour = colour_of(int(found.labels[index]))
            picture[:, *part] = draw_segmentation_masks(picture[:, *part], mask[part], alpha=0.5, colors=[colour])
    return picture


def _with_keypoints(picture: Tensor, found: Found, names: Sequence[str], stroke: Stroke) -> Tensor:
    """Draw the keypoints of every object as white dots with lines in the colour of its class."""
    if found.keypoints is None:
        return picture
    drawn = to_pil_image(picture)
    draw = ImageDraw.Draw(drawn)
    lines = [(names.index(a), names.index(b)) for a, b in LIMBS if a in names and b in names]
    for points, colour in reversed(list(zip(found.keypoints.tolist(), _colours(found), strict=True))):
        for fill, width in (("black", 2 * stroke.line), (colour, stroke.line)):
            for start, end in lines:
                draw.line((*points[start], *points[end]), fill=fill, width=width)
    dark = draw_keypoints(pil_to_tensor(drawn), found.keypoints, colors="black", radius=round(1.6 * stroke.line))
    return draw_keypoints(dark, found.keypoints, colors="white", radius=stroke.line)


def _write_labels(drawn: Image.Image, found: Found, classes: Sequence[str], stroke: Stroke) -> None:
    """Write class and score next to every box, where possible not over the label of an object with a higher score."""
    draw = ImageDraw.Draw(drawn)
    font = ImageFont.truetype(findfont(FontProperties()), stroke.letter)
    most = max(4, int(drawn.width / (0.6 * stroke.letter)) - 6)
    taken: list[tuple[float, float, float, float]] = []
    labels = []
    for box, label, score in zip(_inside(found).tolist(), found.labels.tolist(), found.scores.tolist(), strict=True):
        text = f"{drawable(class_name(label, classes), min(most, 24))} {score:.2f}"
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
        places = list(_places(box, (right - left + 4, bottom - top + 4), drawn.size))
        place = next((place for place in places if not any(_overlap(place, other) for other in taken)), places[0])
        taken.append(place)
        labels.append((place, (place[0] + 2 - left, place[1] + 2 - top), text, colour_of(label)))
    for place, at, text, colour in reversed(labels):
        draw.rectangle(place, fill=colour)
        draw.text(at, text, fill="black" if np.dot(colour, (0.3, 0.59, 0.11)) > 110 else "white", font=font)


def _places(
    box: Sequence[float], size: tuple[float, float], picture: tuple[int, int]
) -> Iterator[tuple[float, float, float, float]]:
    """Rectangles for a label, within the picture: above the box, in its upper corner, in its lower one, below it."""
    x1, y1, _, y2 = box
    width, height = size
    for top in (y1 - height, y1, y2 - height, y2):
        x = max(min(x1, picture[0] - width), 0.0)
        y = max(min(top, picture[1] - height), 0.0)
        yield x, y, x + width, y + height


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
