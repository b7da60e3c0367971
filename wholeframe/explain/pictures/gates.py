"""Gates: a factor for every channel as bars, and the covariance of channels that they were computed from."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from wholeframe.explain.attention import Attention
from wholeframe.explain.figures import INK
from wholeframe.explain.pictures.heat import paint_bar

BY_NUMBER = 64
"""up to this number of channels the bars are in the order of the channels, and above it from the largest on"""

BARS = "#0072b2"


def paint_gates(axis: Axes, found: Attention) -> None:
    """Draw a bar per channel, with the mean as a line."""
    gates = found.weights.numpy().astype(np.float64)
    count = len(gates)
    ordered = gates if count <= BY_NUMBER else np.sort(gates)[::-1]
    _with_margin(axis)
    axis.stairs(ordered, np.arange(count + 1) - 0.5, baseline=0, fill=True, color=BARS)
    axis.axhline(gates.mean(), color=INK, linewidth=1, linestyle=(0, (4, 2)))
    axis.set_xlim(-0.5, count - 0.5)
    axis.margins(y=0.08)
    axis.set_xlabel("channel" if count <= BY_NUMBER else "channels, from the largest gate on", fontsize=8)
    axis.set_ylabel("gate", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


def paint_covariance(axis: Axes, found: Attention) -> None:
    """Draw the covariance as a matrix: red above zero, blue below it."""
    assert found.covariance is not None
    matrix = found.covariance.numpy()
    limit = float(abs(matrix[np.isfinite(matrix)]).max(initial=0)) or 1.0
    norm = Normalize(-limit, limit)
    _with_margin(axis)
    axis.imshow(matrix, cmap="RdBu_r", norm=norm, interpolation="nearest")
    axis.tick_params(labelsize=7)
    paint_bar(axis, "RdBu_r", norm)


def extremes(found: Attention, most: int = 3) -> str:
    """The range and the mean of the gates, and the channels with the largest, in words."""
    gates = found.weights.numpy()
    order = np.argsort(-gates, kind="stable")[:most]
    figures = f"{gates.min():.3g} to {gates.max():.3g}, mean {gates.mean():.3g}"
    return f"{figures}; largest: {', '.join(map(str, order))}"


def _with_margin(axis: Axes) -> None:
    """Show the numbers of the axes, within the panel."""
    box, (width, height) = axis.get_position(), axis.figure.get_figure(root=True).get_size_inches()
    axis.set_position(
        (box.x0 + 0.45 / width, box.y0 + 0.4 / height, box.width - 0.45 / width, box.height - 0.4 / height)
    )
    axis.set_axis_on()
