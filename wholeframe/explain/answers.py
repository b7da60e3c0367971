"""Figures of what a network answers: which classes it confuses, and its answers over the time of a video."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from wholeframe.explain.figures import INK, PALETTE, drawable

NAMED, NUMBERED = 60, 30
"""up to these numbers of classes the figure has their names, and a number in each cell"""

LINES = 6
"""the number of classes that are drawn over time"""


def draw_confusion(shares: np.ndarray, cells: np.ndarray, classes: Sequence[str], file: Path, title: str) -> None:
    """Draw a confusion matrix: a row per label, a column per prediction.

    A row without a sample is grey. For more than 30 classes there are no numbers, and for more than 60 no names.

    Args:
        shares: `(k, k)`, of each row the share in every column, 0 to 1; nan for a row without a sample.
        cells: `(k, k)`, the number to write into each cell: a count, or a share in percent.
        classes: the names of the classes.
        file: the PNG to write.
        title: above the matrix.
    """
    count = len(classes)
    side = max(3.0, 0.3 * count) if count <= NUMBERED else max(9.0, 0.18 * min(count, NAMED))
    figure = Figure(figsize=(side + 2.2, side + 1.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.set_facecolor("#bbbbbb")
    # With the square root of the share, rare confusions show as well.
    drawn = axis.imshow(np.ma.masked_invalid(shares), cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    axis.set_title(title, fontsize=10, color=INK)
    if count <= NAMED:
        names = [drawable(name, 24) for name in classes]
        axis.set_xticks(range(count), names, rotation=90, fontsize=8, parse_math=False)
        axis.set_yticks(range(count), names, fontsize=8, parse_math=False)
        axis.set_xlabel("prediction", fontsize=9)
        axis.set_ylabel("label", fontsize=9)
    else:
        axis.set_xlabel(f"prediction: {count} classes, in the order of classes.csv", fontsize=9)
        axis.set_ylabel("label, in the same order", fontsize=9)
    for row, column in zip(*np.nonzero(cells), strict=True) if count <= NUMBERED else ():
        text = f"{cells[row, column]:g}"
        colour = "white" if shares[row, column] > 0.4 else INK
        axis.text(column, row, text, ha="center", va="center", fontsize=min(8, 24 / len(text)), color=colour)
    bar = axis.inset_axes((1.02, 0, 0.03, 1))
    figure.colorbar(drawn, cax=bar)
    bar.tick_params(labelsize=7)
    bar.set_ylabel("share of the samples with the label", fontsize=8)
    figure.savefig(file, bbox_inches="tight")


def draw_over_time(edges: Sequence[float], shares: np.ndarray, classes: Sequence[str], file: Path, title: str) -> None:
    """Draw the probabilities of a video's most probable classes over its time.

    Args:
        edges: the `s + 1` times between which the segments lie, seconds.
        shares: `(s, k)`, the probability of every class in each segment; nan for a segment that was not read.
        classes: the names of the classes.
        file: the PNG to write.
        title: above the figure, such as the name of the video.
    """
    peaks = np.where(np.isnan(shares), 0, shares).max(axis=0)
    chosen = np.argsort(-peaks, kind="stable")[:LINES]
    figure = Figure(figsize=(9, 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for number, label in enumerate(chosen):
        (line,) = axis.plot([], [], color=PALETTE[number], linewidth=2)
        axis.stairs(shares[:, label], edges, baseline=None, color=PALETTE[number], linewidth=2)
        line.set_label(str(number))
    legend = axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)
    for text, label in zip(legend.get_texts(), chosen, strict=True):
        text.set_parse_math(False)  # A legend takes it only afterwards, so the names come afterwards as well.
        text.set_text(drawable(classes[label], 30))
    axis.set_xlim(edges[0], edges[-1])
    axis.set_ylim(0, 1.03)
    axis.set_xlabel("seconds", fontsize=9)
    axis.set_ylabel("probability", fontsize=9)
    left_out = f", the {LINES} most probable of {len(classes)} classes" if len(classes) > LINES else ""
    axis.set_title(f"{drawable(title)}{left_out}", fontsize=10, color=INK, parse_math=False)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file)
