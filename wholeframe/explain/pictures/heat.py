"""Weights as a heat map over a picture, with their scale in a bar."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from wholeframe.explain.attention import Attention
from wholeframe.explain.pictures.scene import QUERY

LEGIBLE = 0.7
"""inches of a bar below which its numbers would cover each other"""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """From weights to colours: from 0 to the largest weight; with negative weights also to its negative.

    Both colour maps are told apart by colour-blind people: plasma grows lighter with the weight, and red against blue
    is white at zero.
    """

    limit: float
    signed: bool

    @classmethod
    def of(cls, found: Sequence[Attention]) -> "Scale":
        """The scale that the maps of several queries have in common."""
        weights = np.concatenate([each.weights.numpy().reshape(-1) for each in found])
        finite = weights[np.isfinite(weights)]
        return cls(float(abs(finite).max(initial=0)) or 1.0, bool((finite < 0).any()))

    @property
    def colours(self) -> str:
        return "RdBu_r" if self.signed else "plasma"

    @property
    def norm(self) -> Normalize:
        return Normalize(-self.limit if self.signed else 0, self.limit)

    def alpha(self, heat: np.ndarray) -> np.ndarray:
        """Transparent where weights are small, so that the picture stays visible there, or are not finite."""
        return 0.9 * (np.where(np.isfinite(heat), abs(heat), 0) / self.limit) ** 0.5


def paint_heat(
    axis: Axes, heat: np.ndarray, intervals: Sequence[Interval], scale: Scale, at: tuple[float, float] = (0, 0)
) -> AxesImage:
    """Draw weights `(h, w)` over the rows and columns that their cells cover; `at` is where the picture begins."""
    (top, bottom), (left, right) = intervals
    down, across = at
    return axis.imshow(
        heat,
        cmap=scale.colours,
        norm=scale.norm,
        alpha=scale.alpha(heat),
        extent=(left + across, right + across, bottom + down, top + down),
        interpolation="nearest",
    )


def paint_edge(axis: Axes, intervals: Sequence[Interval]) -> None:
    """The edge of a region of the image."""
    (top, bottom), (left, right) = intervals
    edge = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=QUERY, linewidth=1.5)
    axis.add_patch(edge)


def paint_bar(axis: Axes, colours: str | Colormap, norm: Normalize, inches: float = 0.16) -> None:
    """The scale, as tall as the picture, at its right."""
    axis.apply_aspect()  # Only then has the axis the width of its picture.
    box, (across, down) = axis.get_position(), axis.figure.get_figure(root=True).get_size_inches()
    width, height = box.width * across, box.height * down
    bar = axis.inset_axes((1 + 0.06 / width, 0, inches / width, 1))
    ticks = None if height > LEGIBLE else [norm.vmin, norm.vmax] if height > LEGIBLE / 3 else [norm.vmax]
    axis.figure.colorbar(ScalarMappable(norm, colours), cax=bar, ticks=ticks)
    bar.tick_params(labelsize=7, pad=1.5, length=2.5)
