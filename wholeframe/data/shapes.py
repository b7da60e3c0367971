"""The embedded detection task `shapes`: coloured shapes, half of which are named by a partner far away.

An image of 64 x 64 pixels has eight shapes in eight of its 4 x 4 cells: four pairs of a disc and a square or a
triangle of the same hue, at least two cells apart. A square or a triangle is named by its own form, and has a bright or
a dark core. A disc is named by the core of its partner, `disc of a bright core` or `disc of a dark core`, so that a
detector must look at the partner. Every disc has another one: a summary of the image that is the same for all positions
is not enough, although a count of the bright cores makes one name likelier for all.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from wholeframe.data.detection.annotations import Annotations, Instance, Picture

SIZE, CELL, PAIRS = 64, 16, 4
SMALLEST, LARGEST = 4, 5
"""radii of the shapes in pixels"""
CORE = 2
"""half of the side of a core, less half a pixel"""

OWN = ("square", "triangle")
PARTNERED = ("disc of a dark core", "disc of a bright core")
CLASSES = (*OWN, *PARTNERED)
KEYPOINTS = ("top", "left", "right")

Target = dict[str, Tensor | int]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Scene:
    """The shapes of one image: first all discs, then their partners in the same order.

    Args:
        centres: y and x in pixels, `(2 pairs, 2)`.
        radii: in pixels, `(2 pairs,)`.
        hues: of the pairs, between 0 and 1, `(pairs,)`.
        triangles: whether the partner is a triangle, else it is a square, `(pairs,)`.
        bright: whether the core of the partner is bright, else it is dark, `(pairs,)`.
        noise: of the background, `(3, size, size)`.
    """

    centres: np.ndarray
    radii: np.ndarray
    hues: np.ndarray
    triangles: np.ndarray
    bright: np.ndarray
    noise: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """`(2 pairs,)`, from 1: label k is `CLASSES[k - 1]`."""
        return np.concatenate([3 + self.bright, 1 + self.triangles]).astype(np.int64)

    def masks(self) -> np.ndarray:
        """The pixels of every shape, `(2 pairs, size, size)` bool."""
        pairs, (y, x), r = len(self.hues), self._offsets(), self.radii[:, None, None]
        square = np.maximum(abs(y), abs(x)) <= r
        disc = y**2 + x**2 <= (r + 0.5) ** 2
        triangle = square & (2 * abs(x) <= y + r)
        partner = np.where(self.triangles[:, None, None], triangle[pairs:], square[pairs:])
        return np.concatenate([disc[:pairs], partner])

    def image(self, masks: np.ndarray) -> np.ndarray:
        """`(3, size, size)` float32, between 0 and 1."""
        colours = np.tile(rgb(self.hues), (2, 1)).astype(np.float32)
        painted = np.tensordot(colours.T, masks.astype(np.float32), axes=1)
        cores = masks[len(self.hues) :] & (abs(self._offsets()).max(axis=0)[len(self.hues) :] <= CORE)
        painted = np.where(cores.any(axis=0), np.tensordot(self.bright.astype(np.float32), cores, axes=1), painted)
        return np.where(masks.any(axis=0), painted, 0.5 + 0.02 * self.noise)

    def _offsets(self) -> np.ndarray:
        """y and x of every pixel from the centre of every shape, `(2, 2 pairs, size, size)`."""
        return np.indices((SIZE, SIZE))[:, None] - self.centres.T[:, :, None, None]

    def keypoints(self) -> np.ndarray:
        """The middle of the highest, the leftmost and the rightmost row or column: x, y, 2 (visible), float32.

        A triangle is widest at its base, the other shapes in the middle.
        """
        (y, x), r = self.centres.T + 0.5, self.radii
        widest = y + r * np.concatenate([np.zeros_like(self.triangles), self.triangles])
        points = np.stack([[x, y - r], [x - r, widest], [x + r, widest]])
        visible = np.full_like(points[:, :1], 2)
        return np.concatenate([points, visible], axis=1).transpose(2, 0, 1).astype(np.float32)


def draw_scene(seed: int, index: int) -> Scene:
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
        triangles=random.integers(2, size=PAIRS),
        bright=random.integers(2, size=PAIRS),
        noise=random.standard_normal((3, SIZE, SIZE), dtype=np.float32),
    )


def rgb(hues: np.ndarray) -> np.ndarray:
    """Saturated colours `(n, 3)` of hues in [0, 1)."""
    ramp = (hues[:, None] * 6 + np.array([0.0, 4.0, 2.0])) % 6
    return 0.15 + 0.7 * (abs(ramp - 3) - 1).clip(0, 1)


class Shapes(Dataset):
    """Pairs of an image of shapes and its target, drawn when they are read.

    The image is `(3, 64, 64)` float32 in [0, 1]. The target has, for n shapes, `boxes` `(n, 4)` x1, y1, x2, y2 in
    pixels, `labels` `(n,)` from 1, `masks` `(n, 64, 64)`, `keypoints` `(n, 3, 3)` x, y, visibility, and `image_id`, so
    that torchvision's Faster R-CNN, Mask R-CNN and Keypoint R-CNN (with `num_keypoints=3`) train on it.

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
            raise IndexError(f"there is no image {index} of {self.count}")
        scene = draw_scene(self.seed, index)
        masks = scene.masks()
        target: Target = {
            "boxes": torch.tensor([box_of(mask) for mask in masks], dtype=torch.float32),
            "labels": torch.from_numpy(scene.labels),
            "masks": torch.from_numpy(masks.astype(np.uint8)),
            "keypoints": torch.from_numpy(scene.keypoints()),
            "image_id": index,
        }
        return torch.from_numpy(scene.image(masks)), target

    @cached_property
    def annotations(self) -> Annotations:
        """All shapes, as an evaluation by COCO's figures reads them."""
        return Annotations(
            source=Path("shapes"),
            classes=CLASSES,
            pictures=tuple(self._picture(index) for index in range(self.count)),
            category_ids=tuple(range(1, len(CLASSES) + 1)),
            keypoints=KEYPOINTS,
        )

    def name(self, index: int) -> str:
        """The number of an image and the seed that draws it."""
        return f"image {index} of shapes with seed {self.seed}"

    def _picture(self, index: int) -> Picture:
        scene = draw_scene(self.seed, index)
        masks, points = scene.masks(), scene.keypoints()
        instances = tuple(
            Instance(
                label=int(label),
                box=box_of(mask),
                segmentation=run_lengths(mask),
                keypoints=tuple((float(x), float(y), int(visible)) for x, y, visible in points[number]),
                area=float(mask.sum()),
                id=number,
            )
            for number, (label, mask) in enumerate(zip(scene.labels, masks, strict=True))
        )
        return Picture(Path(f"{index}.png"), index, SIZE, SIZE, instances)


def box_of(mask: np.ndarray) -> Box:
    """The smallest box around the pixels of a mask."""
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """A mask as COCO's run lengths: by columns, the numbers of pixels outside, inside, outside, ..."""
    pixels = mask.flatten(order="F")
    changes = np.flatnonzero(np.diff(pixels, prepend=False, append=not pixels[-1]))
    return {"size": list(mask.shape), "counts": np.diff(changes, prepend=0).tolist()}
