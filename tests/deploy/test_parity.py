"""The error of a file: relative to the largest output, and infinite where it cannot be compared."""

import math

import pytest
import torch

from wholeframe.deploy.parity import bound, difference


@pytest.mark.parametrize(
    ("actual", "expected", "error"),
    [
        ([[1.0, 2.0]], [[1.0, 2.0]], 0),
        ([[1.0, 2.5]], [[1.0, 2.0]], 0.25),
        ([[0.0], [3.0]], [[0.0], [2.0]], 0.5),
        ([[0.0, 0.0]], [[0.0, 0.0]], 0),
        ([[0.1, 0.0]], [[0.0, 0.0]], math.inf),
        ([[1.0, math.inf]], [[1.0, math.inf]], 0),
        ([[1.0, math.nan]], [[1.0, math.nan]], 0),
        ([[1.0, math.nan]], [[1.0, 2.0]], math.nan),
        ([[1.0]], [[1.0, 2.0]], math.inf),
        ([], [[1.0]], math.inf),
        ([], [], math.inf),
    ],
)
def test_the_largest_difference_counts(actual, expected, error):
    found = difference([torch.tensor(a) for a in actual], [torch.tensor(e) for e in expected])
    assert found == pytest.approx(error, nan_ok=True)


def test_the_bound_is_the_rounding_of_the_dtype():
    assert 9e-5 < bound(torch.float32) < 1e-4 and bound(torch.float64) < 1e-12
