"""Fewer queries and coarser keys: which cells stay, and that no weight is lost."""

import math

import pytest
import torch
from rounding import agree

from wholeframe.explain.frame import Frame
from wholeframe.explain.page.thinned import covered, middles, patches, steps, summed


def test_a_grid_that_fits_stays_as_it_is():
    assert steps((28, 28), (28, 28), 28**4) == (1, 1)


@pytest.mark.parametrize(
    ("grid", "keys"), [((56, 56), (56, 56)), ((8, 28, 28), (8, 14, 14)), ((32, 56, 56),) * 2, ((7, 90), (7, 90))]
)
@pytest.mark.parametrize("most", [2**21, 5000])
def test_the_steps_are_the_smallest_that_fit(grid, keys, most):
    def pairs(step, key_step):
        return math.prod(patches(grid, step)) * math.prod(patches(keys, key_step))

    step, key_step = steps(grid, keys, most)
    assert pairs(step, key_step) <= most
    assert step - key_step in (0, 1)
    if step > 1:
        assert pairs(*((step - 1, key_step) if step > key_step else (step, key_step - 1))) > most


def test_too_many_frames():
    with pytest.raises(ValueError, match="its 3000 frames of queries and 3000 of keys alone make more than 1000 pairs"):
        steps((3000, 4, 4), (3000, 2, 2), 1000)


def test_the_middle_of_each_patch_represents_it():
    assert middles((2, 5, 4), 3) == [(t, y, x) for t in (0, 1) for y in (1, 4) for x in (1, 3)]
    assert middles((2, 2), 1) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len(middles((7, 9), 2)) == math.prod(patches((7, 9), 2))


@pytest.mark.parametrize("keys", [(6, 9), (5, 7), (2, 5, 7), (1, 1)])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_patches_of_keys_are_added(keys, step):
    rows = torch.randn(4, *keys, dtype=torch.float64)
    got = summed(rows, step)
    assert got.shape == (4, *patches(keys, step))
    for y in range(got.shape[-2]):
        for x in range(got.shape[-1]):
            patch = rows[..., y * step : (y + 1) * step, x * step : (x + 1) * step]
            agree(got[..., y, x], patch.sum(dim=(-1, -2)), terms=step**2)


def test_a_cell_lies_in_the_patch_that_is_drawn_over_it():
    grid, step, frame = (2, 5, 7), 3, Frame(((0, 8), (-4, 76), (-4, 108)))
    coarse = Frame(tuple(covered(frame.intervals, grid, step)))
    for y in range(5):
        for x in range(7):
            centre = frame.centre((1, y, x), grid)
            at = [side - 0.5 for side in centre]  # `cell` adds the half pixel of a centre.
            assert coarse.cell(at, patches(grid, step)) == (1, y // step, x // step)
