"""Adaptive means in a graph: the same numbers, with sizes that stay free."""

import pytest
import torch
import torch.nn.functional as F
from rounding import agree
from torch import nn

from wholeframe.deploy.pools import FreePools


@pytest.mark.parametrize("batch", [(2,), ()])
@pytest.mark.parametrize(
    ("pool", "grid"),
    [
        (nn.AdaptiveAvgPool1d(3), (7,)),
        (nn.AdaptiveAvgPool2d(7), (5, 9)),
        (nn.AdaptiveAvgPool2d((None, 2)), (5, 9)),
        (nn.AdaptiveAvgPool3d((2, 1, 3)), (5, 4, 2)),
        (lambda x: F.adaptive_avg_pool2d(x, output_size=[2, 3]), (5, 4)),
        (lambda x: F.adaptive_avg_pool3d(x, 1), (5, 4, 3)),
    ],
)
def test_the_mean_is_the_same(pool, grid, batch):
    x = torch.randn(*batch, 3, *grid, dtype=torch.float64)
    with FreePools():
        free = pool(x)
    agree(free, pool(x), terms=x[..., 0, :].numel() * 8)


def test_other_functions_stay():
    x = torch.randn(2, 3, 4, 4)
    with FreePools():
        assert torch.equal(F.max_pool2d(x, 2), F.max_pool2d(x, 2)) and x.mean().shape == ()
