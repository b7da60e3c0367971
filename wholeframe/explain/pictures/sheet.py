"""Panels on a sheet: strips of them from top to bottom, every strip in rows of up to four columns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from wholeframe.explain.figures import INK

PANELS = 4
"""the most panels in a row"""

WIDTH, BAR = 3.7, 0.75
"""inches of a panel, and of the bar with its numbers at its right"""

TITLE, LINE, GAP = 0.16, 0.17, 0.14
"""inches above and below the lines of a title, of each line, and between the rows"""

SHORTEST, TALLEST = 1.6, 8.0
"""inches of a panel, whatever the shape of its picture"""

Moves = Callable[[int], Sequence[Artist]]
"""for a frame of a clip: change the artists that move, and return them"""


@dataclass(frozen=True)
class Panel:
    """A part of a sheet.

    Args:
        title: one line or several.
        tall: height over width.
        draw: into its axis, which is off. It returns what moves with the frames of a clip, or None.
        wide: over all columns of the sheet, in a row of its own.
    """

    title: str
    tall: float
    draw: Callable[[Axes], Moves | None]
    wide: bool = False


@dataclass(frozen=True)
class Sheet:
    """A figure, and what moves in it."""

    figure: Figure
    moves: Sequence[Moves]


def lay_out(strips: Sequence[Sequence[Panel]], dpi: int = 110) -> Sheet:
    """Draw panels onto a sheet, of which every strip begins a row.

    Args:
        strips: the panels; every strip has at least one.
        dpi: pixels per inch.
    """
    rows = [row for strip in strips for row in _rows(strip)]
    columns = max(PANELS if any(panel.wide for panel in row) else len(row) for row in rows)
    across = columns * (WIDTH + BAR)
    heights = [_height(row, across) for row in rows]
    down = sum(sum(height) for height in heights) + GAP
    figure = Figure(figsize=(across + GAP, down), dpi=dpi)
    FigureCanvasAgg(figure)
    moves, top = [], down
    for row, (title, height) in zip(rows, heights, strict=True):
        top -= title
        for column, panel in enumerate(row):
            width = across - BAR if panel.wide else WIDTH
            left = GAP + column * (WIDTH + BAR)
            box = left / (across + GAP), (top - height) / down, width / (across + GAP), height / down
            axis = figure.add_axes(box, anchor="NW")
            axis.set_axis_off()
            axis.set_title(panel.title, loc="left", fontsize=9, color=INK, parse_math=False, linespacing=1.25)
            moves.append(panel.draw(axis))
        top -= height
    return Sheet(figure, [move for move in moves if move is not None])


def _rows(strip: Sequence[Panel]) -> list[Sequence[Panel]]:
    """The rows of a strip, as equal as they can be."""
    if any(panel.wide for panel in strip):
        return [[panel] for panel in strip]
    rows = -(-len(strip) // PANELS)
    columns = -(-len(strip) // rows)
    return [strip[start : start + columns] for start in range(0, len(strip), columns)]


def _height(row: Sequence[Panel], across: float) -> tuple[float, float]:
    """Inches of the titles and of the panels of a row."""
    width = across - BAR if row[0].wide else WIDTH
    lines = max(panel.title.count("\n") + 1 for panel in row)
    return TITLE + lines * LINE + GAP, min(max(width * max(panel.tall for panel in row), SHORTEST), TALLEST)
