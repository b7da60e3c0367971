"""The error of a file: relative to the largest output, and infinite where it cannot be compared."""

import math

import pytest
import torch
from torch import nn

from wholeframe.deploy.parity import bound, compare, difference


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


class Cancelling(nn.Module):
    """x + 1e6 - 1e6, which keeps few digits of x in float32."""

    def forward(self, x):
        return x + torch.full_like(x, 1e6) - 1e6


def test_rounding_that_the_network_amplifies_is_told_from_a_fault_of_the_file():
    x = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(
        ValueError,
        match="no file is left: the weights of the network amplify the rounding of float32, in which the network "
        r"itself is 0\.0\d+ from its result in float64, and the file 0; load trained weights, or export",
    ):
        compare(Cancelling(), lambda x: [x], [x])
    with pytest.raises(ValueError, match=r"above 1e-04 at 1 x 3 x 4 x 4; no file is left$"):
        compare(Cancelling(), lambda x: [2 * x], [x])
    compare(Cancelling().double(), lambda x: [x + 1e6 - 1e6], [x.double()])  # as the sentence says


def test_a_network_without_a_finite_number_shows_nothing():
    with pytest.raises(ValueError, match="the network returns no finite number at this size"):
        compare(nn.Threshold(math.inf, math.inf), lambda x: [x], [torch.ones(1, 3, 4, 4)])
