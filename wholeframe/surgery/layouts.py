"""Decide in which layout a map is, from evidence; a map without evidence, or with contradictions, has a sentence.

`(1, 14, 14, 768)` can be 14 channels on 14 x 768, or 768 channels on 14 x 14. Three kinds of evidence decide:

- layers: a convolution works on axis 1 of a map, a linear layer and a layer norm on its last axis;
- sizes: for an image of another size every axis of the grid changes, and the axis of the channels does not;
- grids: `(b, tokens, c)` has the tokens of a grid that the model's convolutions make, or that has the image's shape.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch

from wholeframe.surgery.evidence import Evidence, Visit
from wholeframe.surgery.placement import Axes, Layout, grid_text

MOST_EXTRA = 16
"""The most tokens that can precede those of the grid: DINOv2 and DINOv3 have five, a class token and four registers."""


class Image(NamedTuple):
    """The sizes of the example: the batch, where it is known, and the height and width of its images."""

    batch: int | None
    size: tuple[int, ...]


class Reading(NamedTuple):
    """The layout of a map, or the reason why there is none, as the end of a sentence that begins with the module."""

    layout: Layout | None
    trouble: str | None = None


def read(
    given: Layout | Literal["auto"] | Axes, visit: Visit, image: Image, seen: Evidence, resized: Visit | None = None
) -> Reading:
    """The layout of a visited map.

    Args:
        given: the caller's; with `"auto"` the evidence decides.
        visit: the map.
        image: the example's sizes.
        seen: the evidence of the pass.
        resized: the same module's visit with images of another size, where the model takes them.
    """
    shape = visit.shape
    if isinstance(given, Layout):
        return _fits(given, shape)
    last = len(shape) - 1
    axis = {"auto": None, "channels_first": 1}.get(given, last)
    if axis is None:
        axes = _channel_axes(shape, seen, resized)
        if len(axes) != 1 or not axes <= {1, last}:
            return Reading(None, _undecided(shape, axes))
        (axis,) = axes
    if axis == 1:
        return Reading(Layout())
    if len(shape) == 3:
        return _tokens(shape, image, seen.grids)
    if given == "tokens":
        return Reading(None, f"returns a tensor {tuple(shape)}, which cannot be in the layout 'tokens'")
    if given == "auto" and len(shape) == 4 and not _alike(shape[1:3], image.size):
        return Reading(None, _odd_grid(shape, image))
    return _fits(Layout("channels_last"), shape)


def _channel_axes(shape: torch.Size, seen: Evidence, resized: Visit | None) -> set[int]:
    """The axes that evidence takes for the channels: one is a decision, none is no evidence."""
    axes = seen.axes.get(shape, set())
    fixed = _fixed_axes(shape, resized)
    if len(fixed) == 1:
        return axes & fixed or axes | fixed  # where layers disagree, the sizes decide
    return axes


def _fixed_axes(shape: torch.Size, resized: Visit | None) -> set[int]:
    """The axes, without the batch, whose size does not depend on the size of the image."""
    if resized is None or len(resized.shape) != len(shape) or resized.shape == shape:
        return set()
    return {axis for axis in range(1, len(shape)) if shape[axis] == resized.shape[axis]}


def _tokens(shape: torch.Size, image: Image, grids: set[tuple[int, ...]]) -> Reading:
    """The layout of `(b, tokens, c)`, whose grid has as many positions as there are tokens, but for a few in front."""
    rows, count, channels = shape
    if image.batch is not None and rows != image.batch:
        return Reading(
            None,
            f"returns a tensor {tuple(shape)} for a batch of {image.batch}, so its first axis is not the batch: these "
            "are windows of the map or sequences with the tokens first; insert at the module that contains it",
        )
    near = [grid for grid in grids if 0 <= count - math.prod(grid) <= MOST_EXTRA and math.prod(grid) > 1]
    most = max(map(math.prod, near), default=0)
    best = {grid for grid in near if math.prod(grid) == most} or _shaped_as(image.size, count)
    if len(best) != 1:
        reason = (
            f"the model has {len(best)} grids of as many, {' and '.join(map(grid_text, sorted(best)))}"
            if best
            else f"the model has no grid of as many (the image has {grid_text(image.size)})"
        )
        return Reading(
            None,
            f"returns a tensor {tuple(shape)}, {channels} channels of {count} tokens, and {reason}; give "
            "layout=wf.Layout('tokens', grid=(h, w), extra=k), where k tokens precede those of the grid",
        )
    (grid,) = best
    return Reading(Layout("tokens", grid, count - math.prod(grid)))


def _shaped_as(size: Sequence[int], count: int) -> set[tuple[int, ...]]:
    """The grid with this many positions and the shape of an image of this size, in a set; empty if there is none."""
    if len(size) != 2:
        return set()
    height = math.isqrt(count * size[0] // size[1])
    grids = {(h, count // h) for h in (height, height + 1) if h and count % h == 0}
    return {(h, w) for h, w in grids if h * size[1] == w * size[0]}


def _alike(grid: Sequence[int], size: Sequence[int]) -> bool:
    """Whether the grid has the image's shape, up to the rounding of both its sides; True for an example of no image."""
    return len(size) != 2 or abs(grid[0] * size[1] - grid[1] * size[0]) <= sum(size)


def _fits(layout: Layout, shape: torch.Size) -> Reading:
    rank = len(shape)
    if not {"channels_first": rank >= 3, "channels_last": rank >= 4, "tokens": rank == 3}[layout.axes]:
        return Reading(None, f"returns a tensor {tuple(shape)}, which cannot be in the layout {layout.axes!r}")
    if layout.grid is not None and shape[1] != layout.extra + math.prod(layout.grid):
        return Reading(
            None,
            f"returns a tensor {tuple(shape)} with {shape[1]} tokens, and grid={layout.grid} with extra={layout.extra} "
            f"has {layout.extra + math.prod(layout.grid)}",
        )
    return Reading(layout)


def _undecided(shape: torch.Size, axes: set[int]) -> str:
    grids = [(shape[1], shape[2:]), (shape[-1], shape[1:-1])]
    first, last = (f"{channels} channels on {grid_text(grid)}" for channels, grid in grids)
    why = "nothing in the model says which"
    if axes:
        why = f"its layers have channels on the axes {', '.join(map(str, sorted(axes)))}"
    other = "tokens" if len(shape) == 3 else "channels_last"
    return (
        f"returns a tensor {tuple(shape)}, which reads as {first} or as {last}, and {why}; give "
        f"layout='channels_first' or layout={other!r}"
    )


def _odd_grid(shape: torch.Size, image: Image) -> str:
    return (
        f"returns a tensor {tuple(shape)}, whose last axis has the channels, and {shape[1]} x {shape[2]} does not have "
        f"the shape of the image, {grid_text(image.size)}: these may be heads or windows; insert at the module that "
        "contains it, or give layout='channels_last'"
    )
