"""Grids and positions.

One legend of axis letters for the whole package:

    b batch        c channels      d inner channels     v channels of a value
    n positions    q queries       k keys               t h w axes of a grid
    g groups       l tokens of a group, i and j where there are two of them (a channel at a position is a token)
    m samples of a covariance

A *grid* is the shape after the channels of a map `(b, c, *grid)`: `(n,)` for a sequence, `(h, w)` for an image,
`(t, h, w)` for a clip. Positions are the cells of the grid in row-major order; ops take them as `(b, n, c)`.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.compiler import is_exporting
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]

AS_IT_IS = nullcontext()


def flat(x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c n"]:
    """The map with its positions along one axis: a view wherever the axes of the grid can be merged."""
    if is_tracing() or is_exporting() or x.stride(1) != 1:  # the strides of an exported graph are symbols
        return x.flatten(2)
    # Channels last. Of a single sample, a view that leaves the channels in the middle, and its gradient, have a batch
    # stride by which torch takes the map for contiguous, so that the layers that follow copy it.
    return x.movedim(1, -1).flatten(1, -2).mT


def on_grid(z: Float[Tensor, "b c n"], grid: Sequence[Any]) -> Float[Tensor, "b c *grid"]:
    """The inverse of `flat`: a view. While exporting, `grid` may contain symbolic integers.

    It is not `unflatten`, whose output has the sizes of the example in an ONNX graph from a trace.
    """
    if is_tracing() or is_exporting() or z.stride(1) != 1:
        return z.reshape(*z.shape[:2], *grid)
    return z.mT.reshape(z.shape[0], *grid, z.shape[1]).movedim(-1, 1)


def to_positions(x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b n c"]:
    """The map as a list of positions: a view wherever the axes of the grid can be merged."""
    return flat(x).transpose(1, 2)


def to_grid(y: Float[Tensor, "b n c"], grid: Sequence[int]) -> Float[Tensor, "b c *grid"]:
    """The inverse of `to_positions`."""
    return on_grid(y.transpose(1, 2), grid)


def everywhere(y: Float[Tensor, "b c"], x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *ones"]:
    """One vector per sample as a map that broadcasts over the grid of x."""
    return y.view(*y.shape, *(1,) * (x.ndim - 2))


def wide(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x in float32 or better: sums overflow float16, and softmax weights lose digits in bfloat16."""
    return x.float() if x.dtype.itemsize < 4 else x


def as_given(x: Float[Tensor, "*shape"]) -> AbstractContextManager:
    """Context manager: compute in the dtype of the inputs, with autocast disabled on the device of x.

    In eager mode it does nothing where autocast is already off. A graph always contains it, since the graph may later
    run under autocast. The meta device has no autocast.
    """
    if not (torch.compiler.is_compiling() or torch._C._is_any_autocast_enabled()) or x.device.type == "meta":
        return AS_IT_IS
    return torch.autocast(x.device.type, enabled=False)


def pool_window(pool: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """The pooling window along every axis of a grid.

    Args:
        pool: an integer pools space and never time: the last two axes of a clip or an image, the one axis of a
            sequence. A tuple has one number per axis (PySlowFast's `pool_size=(2, 2, 2)` also pools time).
        rank: number of axes of the grid.

    Raises:
        ValueError: for a number below 1, and for a tuple of another length than `rank`.
    """
    if isinstance(pool, int):
        pool = (1,) * max(rank - 2, 0) + (pool,) * min(rank, 2)
    if min(pool) < 1:
        raise ValueError(f"pool must be at least 1 in every axis, got {tuple(pool)}; pool=1 disables pooling")
    if len(pool) != rank:
        raise ValueError(
            f"pool={tuple(pool)} names {len(pool)} axes, but the grid has {rank}; "
            f"give {rank} numbers, or one integer to pool space only"
        )
    return tuple(pool)


def adaptive_mean(x: Float[Tensor, "b c *grid"], size: Sequence[Any]) -> Float[Tensor, "b c *size"]:
    """Mean pooling to a given size, smaller or larger than the grid.

        output cell i of s averages cells floor(i g / s) to ceil((i + 1) g / s) of an axis of g

    A sequence is pooled as an image of one row. While exporting, `size` may contain symbolic integers. A trace and an
    exported graph have `dense_adaptive_mean`, because ONNX has no pooling to a size that is open.
    """
    if torch.jit.is_tracing() or torch.compiler.is_exporting():  # pyright: ignore[reportPrivateImportUsage]
        return dense_adaptive_mean(x, size)
    if x.ndim == 3:
        return F.adaptive_avg_pool2d(x[:, :, None], (1, size[0]))[:, :, 0]
    if x.ndim == 4:
        return F.adaptive_avg_pool2d(x, (size[0], size[1]))
    return F.adaptive_avg_pool3d(x, (size[0], size[1], size[2]))


def dense_adaptive_mean(x: Float[Tensor, "b c *grid"], size: Sequence[Any]) -> Float[Tensor, "b c *size"]:
    """`adaptive_mean` as a product with a matrix of means along every axis: the definition."""
    for axis, cells in enumerate(size, 2):
        x = (x.transpose(axis, -1) @ _means(cells, x.shape[axis], x).transpose(0, 1)).transpose(axis, -1)
    return x


def _means(s: Any, g: Any, x: Tensor) -> Float[Tensor, "s g"]:
    """The matrix of `adaptive_mean` along an axis of g cells."""
    i, j = torch.arange(s, device=x.device)[:, None], torch.arange(g, device=x.device)
    inside = ((j >= i * g // s) & (j < ((i + 1) * g + s - 1) // s)).to(x.dtype)
    return inside / inside.sum(dim=1, keepdim=True)


def over_space(function: Callable[[Tensor], Tensor], x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b d *other"]:
    """Apply a function of images to an image, to a sequence as an image of one column, or to each frame of a clip."""
    if x.ndim == 3:
        return function(x[..., None])[..., 0]
    if x.ndim == 4:
        return function(x)
    frames = x.transpose(1, 2)
    return function(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]).transpose(1, 2)


def cut(x: Shaped[Tensor, "b c *grid"], parts: Sequence[int]) -> Shaped[Tensor, "b_parts c *part"]:
    """Cut the map into `parts` equal parts along each axis; the parts become samples of the batch."""
    rank = len(parts)
    for axis, count in enumerate(parts):
        x = x.unflatten(2 + 2 * axis, (count, x.shape[2 + 2 * axis] // count))
    return x.permute(0, *range(2, 2 * rank + 2, 2), 1, *range(3, 2 * rank + 3, 2)).flatten(0, rank)


def join(y: Float[Tensor, "b_parts c *part"], parts: Sequence[int]) -> Float[Tensor, "b c *grid"]:
    """The inverse of `cut`."""
    rank = len(parts)
    y = y.unflatten(0, (y.shape[0] // math.prod(parts), *parts))
    y = y.permute(0, rank + 1, *(place for axis in range(rank) for place in (1 + axis, rank + 2 + axis)))
    for axis in range(rank):
        y = y.flatten(2 + axis, 3 + axis)
    return y


def coordinates(index: Int[Tensor, "*q"], grid: Sequence[int]) -> Int[Tensor, "*q rank"]:
    """The coordinates of flat positions, e.g. `(t, y, x)` of a clip."""
    return torch.stack(torch.unravel_index(index, tuple(grid)), dim=-1)


def flat_index(point: Sequence[int], grid: Sequence[int]) -> int:
    """The flat position of one point, e.g. `(y, x)` of an image.

    Raises:
        ValueError: for a point outside the grid.
    """
    if len(point) != len(grid) or not all(0 <= p < size for p, size in zip(point, grid, strict=True)):
        raise ValueError(
            f"the point {tuple(point)} lies outside the grid {tuple(grid)}; coordinates count from 0 in every axis"
        )
    index = 0
    for p, size in zip(point, grid, strict=True):
        index = index * size + p
    return index
