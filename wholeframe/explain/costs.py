"""A picture of what a network costs: bars for its modules, the part of the blocks in another colour."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from wholeframe.explain.figures import INK, PALETTE, drawable


class Bar(NamedTuple):
    """A number of one module: the part outside blocks, and the part of the blocks in it."""

    rest: float
    blocks: float


def draw_cost(panels: Mapping[str, Mapping[str, Bar]], file: Path, title: str, blocks: str) -> None:
    """Draw horizontal bars, one panel per quantity, side by side, with the modules in the order of the network.

    A text at the bar says how much the blocks add to the rest, where there are blocks.

    Args:
        panels: quantity with its unit -> module -> its bar. All panels have the same modules.
        file: the PNG to write.
        title: above the panels.
        blocks: name of the blocks for the legend, such as "13 GlobalContext blocks"; "" if there are none.
    """
    names = list(next(iter(panels.values())))
    figure = Figure(figsize=(1.6 + 3.7 * len(panels), 1.5 + 0.3 * len(names)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(drawable(title), fontsize=11, color=INK, parse_math=False)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axis, (quantity, bars) in zip(axes, panels.items(), strict=True):
        at = range(len(names))
        rest, inside = [bar.rest for bar in bars.values()], [bar.blocks for bar in bars.values()]
        axis.barh(at, rest, color=PALETTE[0], height=0.72, label="the rest of the network")
        axis.barh(at, inside, left=rest, color=PALETTE[1], height=0.72, label=blocks or None)
        widest = max((sum(bar) for bar in bars.values()), default=0) or 1
        for y, bar in zip(at, bars.values(), strict=True):
            if bar.blocks:
                added = f"+{100 * bar.blocks / bar.rest:.2g} %" if bar.rest else "blocks alone"
                axis.text(sum(bar) + widest / 60, y, added, va="center", fontsize=8, color=PALETTE[1])
        axis.set_xlim(0, 1.2 * widest)
        axis.set_xlabel(quantity, fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(names)), [drawable(name) for name in names], fontsize=8, parse_math=False)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    if blocks:
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    figure.savefig(file)
