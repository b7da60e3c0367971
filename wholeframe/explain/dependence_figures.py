"""Figures of dependence on the query: of every block, and over the steps of a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from wholeframe.explain.figures import INK, PALETTE, drawable
from wholeframe.explain.survey import Statistics

DISTANCES = {
    "input": ("input", PALETTE[0]),
    "output": ("output", PALETTE[1]),
    "attention": ("attention", PALETTE[3]),
    "divergence": ("attention, Jensen-Shannon", PALETTE[2]),
}
"""statistic -> its name in a legend, and its colour"""

BETWEEN = {"query_between": "query", "attention_between": "attention", "output_between": "output"}
LEAST = 1e-5
"""smaller distances are drawn here: they are zero but for rounding"""


def draw_dependence(found: Sequence[Statistics], file: Path, title: str) -> None:
    """Draw the distances of every block, and the shares of variance between images.

    Each point is a mean over the images, and its line reaches from the 10th to the 90th percentile of the images.

    Args:
        found: the statistics of every block.
        file: the PNG to write.
        title: above the figure.
    """
    figure = Figure(figsize=(10.5, 2.2 + 0.62 * len(found)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(drawable(title, 100), fontsize=11, color=INK, parse_math=False)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1), sharey=True)
    for place, row in enumerate(found):
        for number, (name, (_, colour)) in enumerate(DISTANCES.items()):
            mean, height = row.mean(name), place + 0.17 * (number - 1.5)
            if mean is None:
                continue
            values = row.values[name].numpy()
            low, high = np.clip(np.nanpercentile(values, (10, 90)), LEAST, None)
            left.plot((low, high), (height, height), color=colour, linewidth=2, alpha=0.5, solid_capstyle="butt")
            left.plot(max(mean, LEAST), height, "o", color=colour, markersize=6)
        for number, name in enumerate(BETWEEN):
            if (share := row.shares[name]) is not None:
                height = place + 0.25 * (number - 1)
                right.barh(height, share, height=0.2, color=PALETTE[5])
                right.text(share + 0.01, height, f"{BETWEEN[name]} {share:.0%}", va="center", fontsize=7, color=INK)
    for name, colour in DISTANCES.values():
        left.plot([], [], "o", color=colour, label=name)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    left.set_yticks(range(len(found)), [drawable(f"{row.block} at {row.site}", 40) for row in found], fontsize=8)
    left.set_ylim(len(found) - 0.4, -0.6)
    for label in left.get_yticklabels():
        label.set_parse_math(False)
    _distances(left, "x")
    left.set_xlabel("mean distance of two positions of an image (0: every position alike)", fontsize=8)
    right.set_xlim(0, 1.35)
    right.set_xticks((0, 0.5, 1), ("0 %", "50 %", "100 %"))
    right.set_xlabel("share of the variance between images", fontsize=8)
    for axis in (left, right):
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        for place in range(1, len(found)):
            axis.axhline(place - 0.5, color="#dddddd", linewidth=0.6)
    figure.savefig(file)


def draw_over_steps(found: Mapping[int, Sequence[Statistics]], file: Path, title: str) -> None:
    """Draw the distances of every block over the steps of a training, a panel per block.

    Args:
        found: the statistics of every block after each step.
        file: the PNG to write.
        title: above the figure.
    """
    sites = list(dict.fromkeys(row.site for rows in found.values() for row in rows))
    columns = min(3, len(sites))
    rows = -(-len(sites) // columns)
    figure = Figure(figsize=(1 + 3.6 * columns, 1.2 + 2.6 * rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(drawable(title, 100), fontsize=11, color=INK, parse_math=False)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axis in panels[len(sites) :]:
        axis.set_visible(False)
    for axis, site in zip(panels, sites, strict=False):
        at = {step: row for step, of_step in found.items() for row in of_step if row.site == site}
        for name, (label, colour) in DISTANCES.items():
            points = [
                (step, max(mean, LEAST)) for step, row in sorted(at.items()) if (mean := row.mean(name)) is not None
            ]
            if points:
                axis.plot(*zip(*points, strict=True), "o-", color=colour, markersize=4, label=label)
        axis.set_title(drawable(site, 40), fontsize=9, color=INK, parse_math=False)
        axis.set_xlabel("training step", fontsize=8)
        _distances(axis, "y")
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(file)


def _distances(axis: Axes, which: Literal["x", "y"]) -> None:
    """A logarithmic scale of distances, whose lowest tick also means zero."""
    ticks = (LEAST, 1e-4, 1e-3, 1e-2, 1e-1, 1)
    names = ("≤ 0.00001", "0.0001", "0.001", "0.01", "0.1", "1")
    getattr(axis, f"set_{which}scale")("log")
    getattr(axis, f"set_{which}lim")(LEAST / 1.6, 1)
    getattr(axis, f"set_{which}ticks")(ticks, names)
    getattr(axis, f"{which}axis").minorticks_off()
    axis.grid(True, axis=which, color="#eeeeee", linewidth=0.6)
