"""What a network looks at, and what its blocks attend to, in pixels of the picture."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from wholeframe.explain.attention import Attention

QUERY = "#00e5ff"
"""the colour of a query, which neither colour map has"""

Pixel = tuple[int, ...]
"""`(y, x)` of an image, `(t, y, x)` of a clip"""


@dataclass(frozen=True)
class Scene:
    """A photograph, or the frames of a clip.

    Args:
        frames: `(t, h, w, 3)`, 0 to 255; a photograph has one frame.
        clip: whether the network takes a clip.
    """

    frames: np.ndarray
    clip: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.frames.shape[1], self.frames.shape[2]

    @property
    def tall(self) -> float:
        """Height over width."""
        return self.size[0] / self.size[1]

    def in_grey(self, frame: int = 0) -> np.ndarray:
        """One frame in grey, lighter than black and darker than white, so that a heat map shows on both."""
        grey = (self.frames[frame].mean(axis=2, keepdims=True) + 0.15 * 255) / 1.3
        return grey.round().astype(np.uint8).repeat(3, axis=2)

    def paint(self, axis: Axes, frame: int = 0, *, grey: bool = False, at: tuple[float, float] = (0, 0)) -> AxesImage:
        """Draw one frame so that the axis counts its pixels; `at` is the place of its top left corner."""
        (height, width), (top, left) = self.size, at
        picture = self.in_grey(frame) if grey else self.frames[frame]
        return axis.imshow(picture, extent=(left, left + width, top + height, top), interpolation="nearest")

    def fit(self, axis: Axes, height: float | None = None, width: float | None = None) -> None:
        """Show the pixels of the picture and no more, as squares."""
        axis.set_xlim(0, width or self.size[1])
        axis.set_ylim(height or self.size[0], 0)
        axis.set_aspect("equal")


@dataclass(frozen=True)
class View:
    """A scene, the queries, and the records of a network for each of them.

    Args:
        scene: what the network looks at.
        found: the records of every query, with their frames in pixels of the scene.
        queries: in pixels of the scene, `(y, x)`, or `(t, y, x)` in a clip.
        labels: the title of each query.
        title: above the scene, such as the name of the photograph or the network.
    """

    scene: Scene
    found: Sequence[Sequence[Attention]]
    queries: Sequence[Pixel]
    labels: Sequence[str]
    title: str = ""

    def blocks(self) -> list[dict[int, Attention]]:
        """The records of every block by the number of their query: a block in a region may have none for some.

        A map that depends on no query is that of the first.
        """
        found: dict[tuple[str, str, int], dict[int, Attention]] = {}
        for query, records in enumerate(self.found):
            seen: Counter[tuple[str, str]] = Counter()
            for each in records:
                number = seen[each.site, each.kind]  # A block may have several maps of a kind.
                seen[each.site, each.kind] += 1
                of_block = found.setdefault((each.site, each.kind, number), {})
                if each.kind == "pairwise" or not of_block:
                    of_block[query] = each
        return list(found.values())


def spread(count: int, size: Sequence[int]) -> list[Pixel]:
    """Pixels that are spread evenly for any number of them, the first at the centre; in a clip all in its middle frame.

        (y, x)_k = fractional part of 1/2 + k (1/p^2, 1/p),    p^3 = p + 1

    Source: Martin Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences", 2018: the sequence R2.

    Args:
        count: of the pixels.
        size: height and width; in a clip its frames first.

    Returns:
        The pixels, `(y, x)`, or `(t, y, x)` in a clip.
    """
    plastic = 1.324717957244746
    steps = (1 / plastic**2, 1 / plastic)
    middle = tuple(side // 2 for side in size[:-2])
    places = ([(0.5 + k * step) % 1 for step in steps] for k in range(count))
    return [(*middle, *(int(at * side) for at, side in zip(place, size[-2:], strict=True))) for place in places]


def mark(axis: Axes, y: float, x: float, number: int | None = None) -> None:
    """A cross with its centre at a point of the picture, with its number."""
    axis.plot(x, y, "+", color="black", markersize=17, markeredgewidth=4)
    axis.plot(x, y, "+", color=QUERY, markersize=15, markeredgewidth=2)
    if number is not None:
        box = {"boxstyle": "round,pad=0.15", "facecolor": "black", "edgecolor": QUERY, "linewidth": 0.8}
        axis.annotate(
            str(number),
            (x, y),
            (7, 7),
            textcoords="offset points",
            fontsize=9,
            color=QUERY,
            bbox=box,
            annotation_clip=False,
        )
