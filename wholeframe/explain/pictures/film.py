"""The frames of a clip in a row, with arrows from the query to its strongest keys: figure 3 of Non-local (CVPR 2018).

One picture per cell in time of the block's keys: the frame of the clip at the centre of this cell.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.patheffects import Normal, Stroke
from matplotlib.transforms import TransformedPatchPath

from wholeframe.explain.attention import Attention
from wholeframe.explain.pictures.heat import Scale, paint_bar, paint_heat
from wholeframe.explain.pictures.scene import Scene

STRONGEST = 20
"""keys of a query that have an arrow, as in the paper"""

ABREAST = 8
"""the most pictures in a row of a film"""

POSITIVE, NEGATIVE = "#ffb000", "#4da6ff"
"""arrows to weights above and below zero: colour-blind people distinguish amber and blue"""


@dataclass(frozen=True)
class Film:
    """Pictures of a scene at the times of a block's cells, in rows of up to eight."""

    scene: Scene
    times: tuple[int, ...]
    """the frame of the clip in each picture"""

    @classmethod
    def of(cls, scene: Scene, found: Attention) -> "Film":
        """One picture for every cell in time; of a photograph one alone."""
        if not scene.clip:
            return cls(scene, (0,))
        cells, (start, end) = found.weights.shape[0], found.key_frame.intervals[0]
        centres = (start + (end - start) * (cell + 0.5) / cells for cell in range(cells))
        last = len(scene.frames) - 1
        return cls(scene, tuple(min(max(math.floor(centre), 0), last) for centre in centres))

    @property
    def columns(self) -> int:
        rows = -(-len(self.times) // ABREAST)
        return -(-len(self.times) // rows)

    @property
    def step(self) -> tuple[float, float]:
        """From a picture to the next one in its column, and in its row."""
        gap = 0.03 * self.scene.size[1]
        return self.scene.size[0] + 5 * gap, self.scene.size[1] + gap

    @property
    def size(self) -> tuple[float, float]:
        """Height and width of the whole."""
        rows = -(-len(self.times) // self.columns)
        return (rows - 1) * self.step[0] + self.scene.size[0], (self.columns - 1) * self.step[1] + self.scene.size[1]

    @property
    def tall(self) -> float:
        """Height over width."""
        return self.size[0] / self.size[1]

    def corner(self, picture: int) -> tuple[float, float]:
        """The top left corner of a picture."""
        row, column = divmod(picture, self.columns)
        return row * self.step[0], column * self.step[1]

    def place(self, picture: int, y: float, x: float) -> tuple[float, float]:
        """A point of a picture on the film."""
        top, left = self.corner(picture)
        return top + y, left + x

    def paint(self, axis: Axes, grey: bool = False) -> None:
        """Draw the pictures, with the number of its frame below each."""
        for picture, time in enumerate(self.times):
            top, left = self.corner(picture)
            self.scene.paint(axis, time, grey=grey, at=(top, left))
            if self.scene.clip:
                axis.annotate(
                    f"frame {time}",
                    (left, top + self.scene.size[0]),
                    (0, -2),
                    textcoords="offset points",
                    fontsize=7,
                    va="top",
                )
        self.scene.fit(axis, *self.size)


def paint_arrows(axis: Axes, film: Film, found: Attention, keys: Sequence[int]) -> None:
    """Draw arrows from the query to some keys, given from the strongest on.

    Width and opacity grow with the weight. A key in the cell of the query itself is a ring around it.
    """
    assert found.cell is not None
    weights, limit = found.weights.numpy().reshape(-1), Scale.of([found]).limit
    start = _start(film, found)
    for key in reversed(keys):
        cell = np.unravel_index(key, found.weights.shape)
        centre = found.key_frame.centre([int(i) for i in cell], found.weights.shape)
        end = film.place(int(cell[0]) if film.scene.clip else 0, *centre[-2:])
        share = abs(float(weights[key])) / limit
        colour = POSITIVE if weights[key] >= 0 else NEGATIVE
        width, alpha = 0.5 + 1.7 * share, 0.3 + 0.7 * share
        if math.dist(start, end) < 1:
            ring = {"markerfacecolor": "none", "markeredgecolor": colour, "markeredgewidth": 1 + width, "alpha": alpha}
            axis.plot(end[1], end[0], "o", markersize=16, zorder=3, **ring)
            continue
        arrow = FancyArrowPatch(
            (start[1], start[0]),
            (end[1], end[0]),
            arrowstyle="-|>",
            mutation_scale=6 + 5 * share,
            linewidth=width,
            color=colour,
            alpha=alpha,
            shrinkA=0,
            shrinkB=0,
            zorder=3,
            clip_on=False,
        )
        arrow.set_path_effects([Stroke(linewidth=width + 1.4, foreground="black", alpha=alpha / 2), Normal()])
        axis.add_patch(arrow)
    axis.plot(start[1], start[0], "o", color="black", markersize=10, zorder=4)
    axis.plot(start[1], start[0], "o", color="white", markersize=7, zorder=4)


def strongest(found: Attention, most: int = STRONGEST) -> list[int]:
    """The flat indices of the keys with the largest weights by magnitude, from the largest; equal ones in order."""
    magnitude = _magnitude(found)
    return [int(key) for key in np.argsort(-magnitude, kind="stable")[:most] if magnitude[key] > 0]


def share_of(found: Attention, keys: Sequence[int]) -> float:
    """The part of all weights, by magnitude, that some keys have together."""
    magnitude = _magnitude(found)
    return float(magnitude[list(keys)].sum() / magnitude.sum()) if magnitude.any() else 0.0


def _magnitude(found: Attention) -> np.ndarray:
    """Of every key; 0 for a weight that is not finite."""
    weights = found.weights.numpy().reshape(-1).astype(np.float64)
    return np.where(np.isfinite(weights), abs(weights), 0)


def paint_film_heat(axis: Axes, film: Film, found: Attention, scale: Scale) -> None:
    """Draw a map over space and time: over each picture the weights of its cell in time."""
    film.paint(axis, grey=True)
    space = found.key_frame.intervals[-2:]
    heats = found.weights.numpy().reshape(len(film.times), *found.weights.shape[-2:])
    for picture, heat in enumerate(heats):
        drawn = paint_heat(axis, heat, space, scale, at=film.corner(picture))
        (top, left), (height, width) = film.corner(picture), film.scene.size
        drawn.set_clip_path(_window(axis, top, left, height, width))
    film.scene.fit(axis, *film.size)
    paint_bar(axis, scale.colours, scale.norm)


def _window(axis: Axes, top: float, left: float, height: float, width: float) -> TransformedPatchPath:
    """The edge of a picture, at which a map over it is cut: the cells of a block may reach beyond the input."""
    return TransformedPatchPath(Rectangle((left, top), width, height, transform=axis.transData))


def _start(film: Film, found: Attention) -> tuple[float, float]:
    """The centre of the query's cell, in the picture that is nearest in time."""
    assert found.cell is not None
    centre = found.frame.centre(found.cell, found.grid)
    if not film.scene.clip:
        return film.place(0, *centre[-2:])
    cells, (start, end) = len(film.times), found.key_frame.intervals[0]
    picture = min(max(math.floor((centre[0] - start) * cells / (end - start)), 0), cells - 1)
    return film.place(picture, *centre[-2:])
