"""The embedded detection task `shapes`: coloured shapes, half of which are named by a partner far away.

An image of 96 x 96 pixels has ten shapes in ten of its 4 x 4 cells: five pairs of a disc and a square or a triangle of
the same hue, at least two cells apart. A square or a triangle is named by its own form. A disc is named by the form of
its partner, `disc of a square` or `disc of a triangle`, so that a detector must look at the partner, and every disc
has another one: a summary of the image that is the same for all positions is not enough.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from wholeframe.data.detection.annotations import Annotations, Instance, Picture
from wholeframe.data.detection.masks import mask_coder

SIZE, CELL, PAIRS = 64, 16, 5
SMALLEST, LARGEST = 4, 5
"""radii of the shapes in pixels"""

OWN = ("square", "triangle")
PARTNERED = ("disc of a square", "disc of a triangle")
CLASSES = (*OWN, *PARTNERED)
KEYPOINTS = ("top", "left", "right")

Target = dict[str, Tensor | int]


@dataclass(frozen=True, eq=False)
class Scene:
    """The shapes of one image: first all discs, then their partners in the same order.

    Args:
        centres: y and x in pixels, `(2 pairs, 2)`.
        radii: in pixels, `(2 pairs,)`.
        hues: of the pairs, between 0 and 1, `(pairs,)`.
        triangles: whether the partner is a triangle, else it is a square, `(pairs,)`.
        noise: of the background, `(3, size, size)`.
    """

    centres: np.ndarray
    radii: np.ndarray
    hues: np.ndarray
    triangles: np.ndarray
    noise: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """`(2 pairs,)`, from 1: label k is `CLASSES[k - 1]`."""
        return np.concatenate([3 + self.triangles, 1 + self.triangles]).astype(np.int64)

    def masks(self) -> np.ndarray:
        """The pixels of every shape, `(2 pairs, size, size)` bool."""
        pairs = len(self.hues)
        y = np.arange(SIZE)[:, None] - self.centres[:, 0, None, None]
        x = np.arange(SIZE)[None, :] - self.centres[:, 1, None, None]
        r = self.radii[:, None, None]
        square = np.maximum(abs(y), abs(x)) <= r
        disc = y**2 + x**2 <= (r + 0.5) ** 2
        triangle = square & (2 * abs(x) <= y + r)
        partner = np.where(self.triangles[:, None, None], triangle[pairs:], square[pairs:])
        return np.concatenate([disc[:pairs], partner])

    def image(self, masks: np.ndarray) -> np.ndarray:
        """`(3, size, size)` float32, between 0 and 1."""
        colours = np.tile(rgb(self.hues), (2, 1)).astype(np.float32)
        painted = np.tensordot(colours.T, masks.astype(np.float32), axes=1)
        return np.where(masks.any(axis=0), painted, 0.5 + 0.02 * self.noise)

    def keypoints(self) -> np.ndarray:
        """`(2 pairs, 3, 3)`: x, y and visibility 2 of the highest, the leftmost and the rightmost point."""
        (y, x), r = self.centres.T + 0.5, self.radii
        side = np.concatenate([y[: len(self.hues)], y[len(self.hues) :] + self.triangles * r[len(self.hues) :]])
        points = [(x, y - r), (x - r, side), (x + r, side)]
        return np.stack([np.stack([*point, np.full_like(x, 2)], axis=1) for point in points], axis=1)


def scene(seed: int, index: int) -> Scene:
    """The image of this number; the same for the same seed."""
    random = np.random.default_rng((seed, index))
    across = SIZE // CELL
    while True:
        cells = np.stack(np.divmod(random.permutation(across**2)[: 2 * PAIRS], across), axis=1)
        if (abs(cells[:PAIRS] - cells[PAIRS:]).max(axis=1) >= 2).all():
            break
    radii = random.integers(SMALLEST, LARGEST + 1, 2 * PAIRS)
    play = random.integers(-1, 2, (2 * PAIRS, 2))
    return Scene(
        centres=cells * CELL + CELL // 2 + play,
        radii=radii,
        hues=(random.random() + (np.arange(PAIRS) + random.random(PAIRS) / 2) / PAIRS) % 1,
        triangles=random.integers(0, 2, PAIRS),
        noise=random.standard_normal((3, SIZE, SIZE), dtype=np.float32),
    )


def rgb(hues: np.ndarray) -> np.ndarray:
    """Saturated colours `(n, 3)` of hues in [0, 1)."""
    ramp = (hues[:, None] * 6 + np.array([0.0, 4.0, 2.0])) % 6
    return 0.15 + 0.7 * (abs(ramp - 3) - 1).clip(0, 1)


class Shapes(Dataset):
    """Images of shapes with targets, as torchvision's Mask R-CNN and Keypoint R-CNN take them.

    Args:
        count: the number of images.
        seed: chooses all of them.
    """

    def __init__(self, count: int, seed: int):
        self.count, self.seed = count, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        drawn = scene(self.seed, index)
        masks = drawn.masks()
        target: Target = {
            "boxes": torch.tensor([box_of(mask) for mask in masks], dtype=torch.float32),
            "labels": torch.from_numpy(drawn.labels),
            "masks": torch.from_numpy(masks.astype(np.uint8)),
            "keypoints": torch.from_numpy(drawn.keypoints()).float(),
            "image_id": index,
        }
        return torch.from_numpy(drawn.image(masks)), target


def box_of(mask: np.ndarray) -> tuple[float, float, float, float]:
    """The smallest box around the pixels of a mask."""
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
