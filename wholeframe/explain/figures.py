"""Figures. Every function draws on its own figure and saves it as a PNG, without global state of matplotlib.

Names from outside pass through `drawable` and are drawn with `parse_math=False`: a dollar sign starts no formula.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Rectangle

from wholeframe.explain.attention import Attention
from wholeframe.messages import shown

INK, QUERY = "#222222", "#00e5ff"
OTHERS = ("#00798c", "#edae49", "#2e4057", "#8c8c8c", "#66a182")
PALETTE = ("#8c8c8c", "#d1495b", "#edae49", "#00798c", "#66a182", "#2e4057", "#9c6ade", "#c97b63", "#5b8e7d")

PANELS = 4
"""the most panels in a row"""

Scaling = Sequence[tuple[int, float, float]]
"""points of a line: (positions, ms, MiB)"""


def drawable(name: object, most: int = 60) -> str:
    """A name from outside as text for a figure: `shown`, with the letters that the font lacks as in `\\u732b`."""
    letters = _letters()
    return "".join(
        letter if ord(letter) in letters else letter.encode("unicode_escape").decode() for letter in shown(name, most)
    )


@cache
def _letters() -> frozenset[int]:
    """The letters of the font that matplotlib draws with; it draws a box for any other."""
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def draw_attention(
    picture: np.ndarray, query: tuple[int, int], found: Sequence[Attention], file: Path, title: str | None = None
) -> None:
    """Draw a photograph with the query, and the attention of every block as a heat map over it, up to four in a row.

    The query is marked where the map depends on it.

    Args:
        picture: the photograph `(h, w, 3)`, 0 to 255.
        query: its pixel `(y, x)`.
        found: the attention of each block.
        file: the PNG to write.
        title: above the photograph; by default the query.
    """
    height, width = picture.shape[:2]
    panel = 4.2
    tall = min(max(panel * height / width, 1.8), 8)
    rows = -(-(1 + len(found)) // PANELS)
    columns = -(-(1 + len(found)) // rows)
    figure = Figure(figsize=(panel * columns, (tall + 0.7) * rows), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.set_axis_off()
    axes[0].imshow(picture, interpolation="nearest")
    depends = any(attention.cell is not None for attention in found)
    default = f"query y={query[0]} x={query[1]}" if depends else "the photograph"
    axes[0].set_title(default if title is None else drawable(title), fontsize=10, color=INK, parse_math=False)
    grey = picture.mean(axis=2) / 255
    for axis, attention in zip(axes[1:], found, strict=False):
        axis.imshow(grey, cmap="gray", vmin=-0.15, vmax=1.15, interpolation="nearest")
        _draw_weights(axis, attention, (height, width))
    for axis, shown_there in zip(axes, [depends, *(attention.cell is not None for attention in found)], strict=False):
        if shown_there:
            axis.plot(query[1], query[0], "+", color="black", markersize=17, markeredgewidth=4)
            axis.plot(query[1], query[0], "+", color=QUERY, markersize=15, markeredgewidth=2)
    figure.savefig(file, bbox_inches="tight")


def _draw_weights(axis: Axes, attention: Attention, size: tuple[int, int]) -> None:
    """A heat map over a photograph, with its scale in a bar as tall as the photograph.

    The map is drawn over the rectangle that its keys cover, and cut at the edge of the photograph.
    """
    heat = attention.weights.numpy()
    height, width = size
    (top, bottom), (left, right) = attention.key_frame.intervals
    limit = float(abs(heat).max()) or 1.0
    signed = heat.min() < 0
    # The heat map is transparent where weights are small, so that the photograph stays visible there.
    drawn = axis.imshow(
        heat,
        cmap="RdBu_r" if signed else "plasma",
        vmin=-limit if signed else 0,
        vmax=limit,
        alpha=0.9 * (abs(heat) / limit) ** 0.5,
        extent=(left - 0.5, right - 0.5, bottom - 0.5, top - 0.5),  # The axis has the centre of the first pixel at 0.
        interpolation="nearest",
    )
    if attention.region:
        edge = Rectangle(
            (left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor=QUERY, linewidth=1.5
        )
        axis.add_patch(edge)
    axis.set_xlim(-0.5, width - 0.5)
    axis.set_ylim(height - 0.5, -0.5)
    bar = axis.inset_axes((1.02, 0, 0.045, 1))
    axis.figure.colorbar(ScalarMappable(drawn.norm, drawn.cmap), cax=bar)
    bar.tick_params(labelsize=7)
    grid = " x ".join(map(str, attention.weights.shape))
    which = "one map for all queries" if attention.cell is None else f"weights over {grid} keys"
    which = f"{which} of the region" if attention.region else which
    name = drawable(f"{attention.block} at {attention.site}")
    axis.set_title(f"{name}\n{which}", fontsize=10, color=INK, parse_math=False)


def draw_accuracy(
    accuracy: Mapping[str, Mapping[str, Sequence[float]]], file: Path, figures: Mapping[str, str] | None = None
) -> None:
    """Draw bars of accuracy, one panel per task and one bar per block, with a dot for every seed.

    `figures` names the figure of a task that has another one.
    """
    panel = max(4.2, 0.5 * max(map(len, accuracy.values())))
    figure = Figure(figsize=(1.2 + panel * len(accuracy), 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (task, blocks) in zip(figure.subplots(1, len(accuracy), squeeze=False)[0], accuracy.items(), strict=True):
        for index, values in enumerate(blocks.values()):
            mean = sum(values) / len(values)
            axis.bar(index, mean, color=PALETTE[index % len(PALETTE)], width=0.72)
            axis.text(index, mean + 0.01, f"{mean:.2f}", ha="center", va="bottom", fontsize=8, color=INK)
            if len(values) > 1:
                axis.plot([index] * len(values), values, ".", color=INK, markersize=4)
        axis.set_xticks(range(len(blocks)), list(blocks), rotation=35, ha="right", fontsize=8)
        axis.set_title(drawable(task), fontsize=11, color=INK, parse_math=False)
        axis.set_ylim(0, 1.08)
        axis.set_ylabel((figures or {}).get(task, "accuracy"), fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file)


def draw_scaling(lines: Mapping[str, Mapping[str, Scaling]], file: Path, title: str) -> None:
    """Draw time and memory against positions, log-log: two panels per block, one line per implementation.

    `lines` maps block -> implementation -> its points; the implementation `ours` is drawn on top.
    """
    columns = min(5, len(lines))
    rows = -(-len(lines) // columns)
    figure = Figure(figsize=(max(3.1 * columns, 5), 4.4 * rows + 0.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11, color=INK)
    panels = figure.subplots(2 * rows, columns, squeeze=False)
    names = list(dict.fromkeys(name for drawn in lines.values() for name in drawn if name != "ours"))
    for panel in panels.flat:
        panel.set_visible(False)
    for index, (block, drawn) in enumerate(lines.items()):
        row, column = divmod(index, columns)
        above, below = panels[2 * row, column], panels[2 * row + 1, column]
        for axis, unit in ((above, "ms"), (below, "MiB")):
            axis.set_visible(True)
            for name in sorted(drawn, key=lambda name: name == "ours"):
                points = sorted((at, time if unit == "ms" else memory) for at, time, memory in drawn[name])
                color = PALETTE[1] if name == "ours" else OTHERS[names.index(name) % len(OTHERS)]
                axis.plot(*zip(*points, strict=True), color=color, label=name, **_stroke(name))
            axis.set_xscale("log")
            axis.set_yscale("log")
            axis.grid(True, which="major", color="#dddddd", linewidth=0.6)
            axis.tick_params(labelsize=7)
            axis.spines[["top", "right"]].set_visible(False)
            if column == 0:
                axis.set_ylabel(unit, fontsize=9)
        above.set_title(block, fontsize=10, color=INK)
        above.legend(fontsize=7, frameon=False, loc="upper left")
        below.set_xlabel("positions", fontsize=8)
    figure.savefig(file)


def _stroke(name: str) -> dict[str, Any]:
    """The line style; the line of `ours` is wider, so that it is easy to find."""
    width, marker, size = (2.2, "o", 4) if name == "ours" else (1.3, ".", 5)
    return {"linewidth": width, "marker": marker, "markersize": size}
