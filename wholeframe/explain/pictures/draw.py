"""Pictures of attention as PNG."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wholeframe.explain.attention import Attention
from wholeframe.explain.figures import drawable
from wholeframe.explain.pictures.panels import strips_of
from wholeframe.explain.pictures.scene import Scene, View
from wholeframe.explain.pictures.sheet import Panel, lay_out


def draw_attention(
    picture: np.ndarray, query: tuple[int, int], found: Sequence[Attention], file: Path, title: str | None = None
) -> None:
    """Draw a photograph with the query, and the attention of every block as a heat map over it, up to four in a row.

    The query is marked where the map depends on it.

    Args:
        picture: the photograph `(h, w, 3)`, 0 to 255.
        query: its pixel `(y, x)`.
        found: the attention of each block, with frames in pixels of the photograph.
        file: the PNG to write.
        title: above the photograph; by default the query.
    """
    depends = any(attention.cell is not None for attention in found)
    default = f"query y={query[0]} x={query[1]}" if depends else "the photograph"
    label = default if title is None else drawable(title)
    draw_strips(strips_of(View(Scene(picture[None]), [found], [query], [label])), file)


def draw_strips(strips: Sequence[Sequence[Panel]], file: Path) -> None:
    """Write panels, as `strips_of` and `compared` give them, into a PNG."""
    lay_out(strips).figure.savefig(file)
