"""Which positions the output of a query comes from."""

import pytest
import torch
from rounding import agree, moved

from wholeframe import ops
from wholeframe.ops.cgnl.contributions import contributions, dense_contributions

B, D, N, Q, GROUPS = 2, 12, 10, 3, 3


def maps(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(B, D, n, generator=generator, dtype=torch.float64) for n in (Q, N, N))


@pytest.mark.parametrize("groups", [1, GROUPS])
@pytest.mark.parametrize("kernel", ops.KERNELS)
def test_the_compact_way_is_the_definition(kernel, groups):
    options = {"gamma": 0.3, "order": 4}
    ours, dense = (way(*maps(), groups, kernel, **options) for way in (contributions, dense_contributions))
    assert ours.shape == (B, Q, N)
    # The sum is divided by |y|^2, whose rounding depends on what cancels in y.
    shift = moved(lambda *given: dense_contributions(*given, groups, kernel, **options), *maps())
    agree(ours, dense, D * N, moved=shift)


@pytest.mark.parametrize("kernel", ops.KERNELS)
def test_a_map_sums_to_one_and_its_terms_to_the_output(kernel):
    """The part of a position is y with the value of this position alone, because y is linear in the value."""
    theta, phi, value = maps(1)
    weights = contributions(theta, phi, value, GROUPS, kernel, gamma=0.3, order=2)
    assert torch.allclose(weights.sum(dim=2), torch.ones(B, Q, dtype=torch.float64), rtol=0, atol=1e-12)

    def y(value):
        tokens = (ops.grouped_tokens(each, GROUPS) for each in (theta, phi, value))
        return ops.gnl(*tokens, kernel, gamma=0.3, order=2).view(B, D, Q)

    whole = y(value)
    for position in range(N):
        alone = torch.zeros_like(value)
        alone[:, :, position] = value[:, :, position]
        share = (whole * y(alone)).sum(dim=1) / whole.square().sum(dim=1)
        assert torch.allclose(weights[:, :, position], share, rtol=1e-9, atol=1e-12)


def test_with_one_group_the_dot_product_has_the_map_of_its_scalar():
    theta, phi, value = maps(2)
    m = (phi * value).sum(dim=1, keepdim=True)
    weights = contributions(theta, phi, value, 1, "dot")
    assert torch.allclose(weights, (m / m.sum(dim=2, keepdim=True)).expand(-1, Q, -1), rtol=1e-9, atol=0)
    several = contributions(theta, phi, value, GROUPS, "dot")
    assert not torch.allclose(several[:, 0], several[:, 1], rtol=0.01)


@pytest.mark.parametrize("kernel", ops.KERNELS)
def test_a_query_without_output_has_no_map(kernel):
    theta, phi, value = maps(3)
    assert not contributions(theta, phi, 0 * value, GROUPS, kernel).any()


def test_half_precision_is_summed_in_single():
    theta, phi, value = (each.half() for each in maps(4))
    weights = contributions(theta, phi, value, GROUPS, "dot")
    exact = contributions(theta.double(), phi.double(), value.double(), GROUPS, "dot")
    assert weights.dtype == torch.float32 and torch.allclose(
        weights.double(), exact, rtol=0, atol=1e-4 * exact.abs().max()
    )
