import itertools

import pytest
import torch
from rounding import agree

from wholeframe import ops


@pytest.mark.parametrize("grid", [(7,), (3, 5), (2, 3, 4)])
def test_positions_are_the_grid_in_row_major_order(grid):
    x = torch.randn(2, 4, *grid)
    positions = ops.to_positions(x)
    for index, point in enumerate(itertools.product(*map(range, grid))):
        assert torch.equal(positions[:, index], x[(..., *point)])
    assert torch.equal(ops.to_grid(positions, grid), x)


def test_positions_of_a_contiguous_map_are_a_view():
    x = torch.randn(2, 4, 3, 5)
    assert ops.to_positions(x).data_ptr() == x.data_ptr()


@pytest.mark.parametrize("grid", [(7,), (3, 5), (2, 3, 4)])
def test_coordinates_and_flat_index_are_inverse(grid):
    points = list(itertools.product(*map(range, grid)))
    indices = [ops.flat_index(point, grid) for point in points]
    assert indices == list(range(len(points)))
    assert ops.coordinates(torch.tensor(indices), grid).tolist() == [list(point) for point in points]


def test_coordinates_of_many_indices_keep_their_shape():
    assert ops.coordinates(torch.zeros(2, 3, dtype=torch.int64), (4, 5)).shape == (2, 3, 2)


@pytest.mark.parametrize("point", [(3, 0), (0, 5), (-1, 0), (0,), (0, 0, 0)])
def test_a_point_outside_the_grid_is_refused(point):
    with pytest.raises(ValueError, match=r"the point \(.*\) lies outside the grid \(3, 5\)"):
        ops.flat_index(point, (3, 5))


@pytest.mark.parametrize(
    ("pool", "rank", "window"),
    [
        (2, 1, (2,)),
        (2, 2, (2, 2)),
        (2, 3, (1, 2, 2)),
        (1, 3, (1, 1, 1)),
        ((2, 3, 4), 3, (2, 3, 4)),
        ([1, 2], 2, (1, 2)),
    ],
)
def test_an_integer_pools_space_and_never_time(pool, rank, window):
    assert ops.pool_window(pool, rank) == window


def test_a_window_of_another_rank_is_refused():
    with pytest.raises(ValueError, match=r"pool=\(1, 2, 2\) names 3 axes, but the grid has 2; give 2 numbers, or one"):
        ops.pool_window((1, 2, 2), 2)


@pytest.mark.parametrize("pool", [0, -1, (1, 0)])
def test_a_window_of_nothing_is_refused(pool):
    with pytest.raises(ValueError, match=r"pool must be at least 1 in every axis, got \(.*\); pool=1 disables"):
        ops.pool_window(pool, 2)


@pytest.mark.parametrize(("grid", "size"), [((28,), (8,)), ((8, 7), (28, 3)), ((2, 5, 4), (3, 2, 9))], ids=str)
def test_adaptive_mean_averages_the_cells_that_overlap(grid, size):
    """Also upwards: 8 to 28 is the uneven copying of GSoP's position block, no interpolation."""
    x = torch.randn(2, 3, *grid, dtype=torch.float64)
    expected = x
    for axis, (g, s) in enumerate(zip(grid, size, strict=True), start=2):
        cells = [range(i * g // s, -(-(i + 1) * g // s)) for i in range(s)]
        expected = torch.stack([expected.index_select(axis, torch.tensor(c)).mean(axis) for c in cells], dim=axis)
    for mean in (ops.adaptive_mean, ops.dense_adaptive_mean):
        agree(mean(x, size), expected, terms=x[0, 0].numel())
