"""What a picture shows of every block, as a sentence for the terminal."""

from collections.abc import Sequence

from wholeframe.explain.attention import Attention
from wholeframe.explain.pictures.panels import difference, not_finite
from wholeframe.explain.pictures.scene import Pixel, View
from wholeframe.explain.recording import AXES

KINDS = {"shared": "one map for all queries", "channel": "gates of channels", "position": "gates of positions"}


def at(query: Pixel) -> str:
    """A query in words, such as `y=120 x=80`."""
    return " ".join(f"{axis}={place}" for axis, place in zip(AXES[len(query)], query, strict=True))


def described(view: View) -> list[str]:
    """Every block of a view: the cells of its queries, and the part of the weights that is on padding."""
    size = view.scene.frames.shape[:3] if view.scene.clip else view.scene.size
    return [_of_block(list(found.values()), size) for found in view.blocks()]


def _of_block(found: Sequence[Attention], size: Sequence[int]) -> str:
    first, *others = found
    cells = [str(each.cell) for each in found if each.cell]
    where = KINDS.get(first.kind) or f"query cell{'s' if others else ''} {' '.join(cells)}"
    region = " on the region that contains the query" if first.region else ""
    padding = max(each.on_padding(size) for each in found)
    padded = f" ({padding:.0%} of the weights on the padding of the detector)" if padding >= 0.005 else ""
    apart = f", mean cosine distance of their maps {difference(found):.2g}" if others else ""
    lost = next(filter(None, map(not_finite, found)), "")
    return f"{first.block} at {first.site}, {where}{region}{padded}{apart}{lost}"
