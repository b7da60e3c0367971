"""Fewer queries and coarser keys for a grid with more pairs than a page can hold."""

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

Grid = tuple[int, ...]


def steps(grid: Grid, keys: Grid, most: int) -> tuple[int, int]:
    """The smallest sides of patches, of queries and of keys, with which at most this many pairs remain.

    Patches are squares of rows and columns; time stays as it is.

    Args:
        grid: of the queries.
        keys: the grid of the keys.
        most: pairs.

    Raises:
        ValueError: even with one patch per frame there are more pairs.
    """
    query, key = 1, 1
    while math.prod(patches(grid, query)) * math.prod(patches(keys, key)) > most:
        if query > max(grid[-2:]) and key > max(keys[-2:]):
            raise ValueError(f"its {grid[0]} frames of queries and {keys[0]} of keys alone make more than {most} pairs")
        query, key = (query + 1, key) if query <= key else (query, key + 1)
    return query, key


def patches(grid: Grid, step: int) -> Grid:
    """The grid of patches of `step` x `step` cells; patches at the lower and the right edge may be smaller."""
    return (*grid[:-2], *(-(-side // step) for side in grid[-2:]))


def middles(grid: Grid, step: int) -> list[Grid]:
    """The middle cell of every patch of queries, whose weights represent the patch."""
    sides = [range(side) for side in grid[:-2]]
    sides += [
        [min(at * step + step // 2, side - 1) for at in range(count)]
        for side, count in zip(grid[-2:], patches(grid, step)[-2:], strict=True)
    ]
    return list(product(*sides))


def summed(rows: Tensor, step: int) -> Tensor:
    """Weights `(q, *keys)`, summed over patches of keys: `(q, *patches(keys, step))`."""
    height, width = rows.shape[-2:]
    padded = torch.nn.functional.pad(rows, (0, -width % step, 0, -height % step))
    return padded.unflatten(-1, (-1, step)).unflatten(-3, (-1, step)).sum(dim=(-1, -3))


def covered(intervals: Sequence[tuple[float, float]], grid: Grid, step: int) -> list[tuple[float, float]]:
    """The intervals of a grid of cells, extended to whole patches of `step` x `step` cells."""
    whole = (*grid[:-2], *(side * step for side in patches(grid, step)[-2:]))
    return [
        (start, start + (end - start) * count / cells)
        for (start, end), count, cells in zip(intervals, whole, grid, strict=True)
    ]
