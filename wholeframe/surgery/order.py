"""Whether the tokens of a map are the rows of its grid, one after the other.

Some networks reorder their tokens (Hiera keeps the tokens of a window together), and some append others after those
of the grid (YOLOS). A shape does not show that. A pixel does: if it changes, the token at its place changes most.
"""

import math
from collections.abc import Mapping

from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

from wholeframe.surgery.placement import Layout
from wholeframe.surgery.probe import Call, image_leaf, maps_at

CELLS = ((0.25, 0.75), (0.75, 0.3))
"""Two places of the frame, as fractions of height and width; the second tells rows from columns."""

MORE_CELLS = ((0.3, 0.2), (0.8, 0.85))
"""Places in the other corners, for grids of so few cells that tokens without a place answer two places by chance."""


def out_of_order(
    model: nn.Module, call: Call, sites: Mapping[nn.Module, tuple[Layout, int | str | None]]
) -> set[nn.Module]:
    """The sites whose tokens are not in the order of their layout's grid.

    Tokens without values (under `FakeTensorMode`) and grids of clips are taken to be in order.
    """
    image = image_leaf(call)
    tokens = {m: key for m, (layout, key) in sites.items() if layout.axes == "tokens" and len(layout.grid or ()) == 2}
    if image is None or isinstance(image, FakeTensor) or image.device.type == "meta" or not tokens:
        return set()
    before = maps_at(model, call, tokens)
    wrong = set()
    few = min(math.prod(sites[m][0].grid or ()) for m in tokens) < 16
    for cell in CELLS + MORE_CELLS * few:
        after = maps_at(model, _changed_at(call, image, cell), tokens)
        wrong |= {m for m in tokens if not _answers(sites[m][0], before[m], after[m], cell)}
    return wrong


def _changed_at(call: Call, image: Tensor, cell: tuple[float, float]) -> Call:
    """The call with another pattern in one part of the image, a sixteenth of its height and width."""
    changed = image.clone()
    (top, bottom), (left, right) = (_span(size, at) for size, at in zip(image.shape[-2:], cell, strict=True))
    changed[..., top:bottom, left:right] = 2 - changed[..., top:bottom, left:right]
    return Call(*pytree.tree_map_only(Tensor, lambda leaf: changed if leaf is image else leaf, tuple(call)))


def _span(size: int, at: float) -> tuple[int, int]:
    middle, half = int(size * at), max(size // 32, 1)
    return max(middle - half, 0), middle + half


def _answers(layout: Layout, before: Tensor, after: Tensor, cell: tuple[float, float]) -> bool:
    """Whether the token that changes most, relative to its size, is at the changed place, or next to it."""
    change = (after - before).double().norm(dim=2) / before.double().norm(dim=2).clamp_min(1e-12)
    most = int(change.sum(dim=0).argmax()) - layout.extra
    rows, columns = layout.grid or (1, 1)
    place = divmod(most, columns)
    expected = (cell[0] * rows, cell[1] * columns)
    near = [
        abs(p + 0.5 - e) < min(2, max(1, size / 4)) for p, e, size in zip(place, expected, (rows, columns), strict=True)
    ]
    return 0 <= most < rows * columns and all(near)
