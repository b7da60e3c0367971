"""Precision over recall, as data and as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


class Curve(NamedTuple):
    """Precision over recall, of one class or as a mean of classes.

    Args:
        recall: `(r,)`, 0 to 1.
        precision: `(r,)`, the best at this recall or a higher one; 0 where this recall is not reached.
    """

    recall: np.ndarray
    precision: np.ndarray

    @property
    def average_precision(self) -> float:
        """The mean of the precision over the recalls."""
        return float(self.precision.mean())


def draw_curves(curves: Mapping[str, Curve], file: Path, title: str = "") -> None:
    """Draw curves with their titles and average precisions, and save them as a PNG.

    Args:
        curves: such as `CocoScores.curves()`.
        file: the picture.
        title: above it.

    Raises:
        ValueError: there are no curves.
    """
    if not curves:
        raise ValueError("there are no curves to draw; give some, such as `scores.curves()`")
    figure = Figure(figsize=(6.4, 4.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.92, len(curves)))
    for (name, curve), color in zip(curves.items(), colors, strict=True):
        axis.plot(*curve, color=color, label=f"{name} (AP {curve.average_precision:.3f})")
    axis.set_xlabel("recall")
    axis.set_ylabel("precision")
    axis.set_xlim(0, 1.02)
    axis.set_ylim(0, 1.02)
    axis.set_title(title, fontsize=11)
    axis.grid(True, color="#dddddd", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(fontsize=8, frameon=False, loc="outside right upper", ncols=1 + (len(curves) - 1) // 24)
    figure.savefig(file, format="png")
