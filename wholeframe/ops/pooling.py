"""Max pooling of keys, over positions: `(b, n, d)`, where the channels of a position lie next to each other.

The numbers and gradients are those of `F.max_pool2d`, also where several cells of a window hold the maximum: the first
one in row-major order takes the gradient. What differs is the cost. Torch's kernel for this layout is many times faster
on a CPU than that for maps, and the backward pass keeps two bytes per key, neither the map nor indices of eight bytes.
"""

import math
import operator
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.autograd import applied, transformed, two_modes
from wholeframe.ops.backends import in_graph
from wholeframe.ops.layout import pool_window, to_grid, to_positions


def pool_keys(x: Float[Tensor, "b c *grid"], pool: int | Sequence[int]) -> Float[Tensor, "b c *pooled"]:
    """Max pooling with window = stride and no padding: trailing rows that do not fill a window are dropped.

    Raises:
        ValueError: for a window that does not fit the grid.
    """
    window = _fitting(pool, x.shape[2:])
    if math.prod(window) == 1:
        return x
    if in_graph():
        return {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[len(window)](x, window)
    pooled = map(operator.floordiv, x.shape[2:], window)
    return to_grid(_pooled(to_positions(x).contiguous(), x.shape[2:], window), tuple(pooled))


def pool_positions(
    grid: Sequence[int], pool: int | Sequence[int], *maps: Float[Tensor, "b n _"]
) -> list[Float[Tensor, "b k _"]]:
    """`pool_keys` of maps of a grid that are given as positions.

    Raises:
        ValueError: for a window that does not fit the grid.
    """
    if in_graph():
        return [to_positions(pool_keys(to_grid(y, grid), pool)) for y in maps]
    window = _fitting(pool, grid)
    return [_pooled(y.contiguous(), grid, window) for y in maps]


def _fitting(pool: int | Sequence[int], grid: Sequence[int]) -> tuple[int, ...]:
    window = pool_window(pool, len(grid))
    if any(map(operator.lt, grid, window)):
        raise ValueError(
            f"a pooling window of {window} does not fit a grid of {tuple(grid)}: no key would remain; use pool=1"
        )
    return window


def _pooled(y: Float[Tensor, "b n d"], grid: Sequence[int], window: tuple[int, ...]) -> Float[Tensor, "b k d"]:
    """A sequence is pooled as an image of one row, and a clip whose frames are not pooled together frame by frame."""
    if len(grid) == 1:
        return applied(_MaxPool, y, (1, *grid), (1, *window))[0]
    if len(grid) == 3 and window[0] == 1:
        frames = y.unflatten(1, (grid[0], -1))
        pooled = applied(_MaxPool, frames.flatten(0, 1), tuple(grid[1:]), window[1:])[0]
        return pooled.unflatten(0, frames.shape[:2]).flatten(1, 2)
    return applied(_MaxPool, y, tuple(grid), window)[0]


@two_modes
class _MaxPool(torch.autograd.Function):
    """The maximum over every window, and its position."""

    generate_vmap_rule = True

    @staticmethod
    def forward(y, grid, window):
        max_pool = F.max_pool2d if len(grid) == 2 else F.max_pool3d
        # The axes move instead of `to_grid`, after which one sample has strides that torch takes for another layout.
        top, place = max_pool(y.unflatten(1, grid).movedim(-1, 1), window, return_indices=True)
        place = place.to(torch.int16 if y.shape[1] <= 2**15 else torch.int32)
        return top.flatten(2).mT, place.flatten(2).mT

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.positions = inputs[0].shape[1]
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])
        ctx.save_for_forward(output[1])

    @staticmethod
    def tangents(ctx, *tangents):
        (place,) = ctx.saved_tensors
        return tangents[0].gather(1, place.long()), None

    @staticmethod
    def backward(ctx, *gradients):
        (place,), dtop = ctx.saved_tensors, gradients[0]
        dy = dtop.new_zeros(dtop.shape[0], ctx.positions, dtop.shape[2])
        scatter = dy.scatter if transformed() else dy.scatter_
        return scatter(1, place.long(), dtop), None, None
