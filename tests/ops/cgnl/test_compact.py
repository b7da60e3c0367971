"""The dense generalized operation against literal formulas, and its compact form against the dense one."""

import math

import pytest
import torch
from rounding import agree
from torch.utils.flop_counter import FlopCounterMode

from wholeframe import ops
from wholeframe.ops.cgnl.gaussian_rbf import plan

GAMMAS = (0.05, 0.4)  # at the released 1e-4 the kernels of numbers near one are the same to four digits


@pytest.fixture
def inputs():
    """theta, phi, value of 2 samples and 3 groups, 7 queries and 5 keys; and the gradient of y."""
    torch.manual_seed(0)
    return [torch.randn(2, 3, size, dtype=torch.float64) for size in (7, 5, 5, 7)]


def outcome(operation, theta, phi, value, dy, gamma):
    inputs = [t.clone().requires_grad_() for t in (theta, phi, value)]
    gamma = torch.tensor(gamma, dtype=torch.float64, requires_grad=True)
    y = operation(*inputs, gamma)
    return y.detach(), torch.autograd.grad(y, [*inputs, gamma], dy, materialize_grads=True)


def test_dense_is_the_literal_sum_over_pairs(inputs):
    theta, phi, value, _ = inputs
    f = {
        "dot": lambda a, b: a * b,
        "taylor": lambda a, b: sum(math.exp(-0.4) * 0.4**p / math.factorial(p) * (a * b) ** p for p in range(3)),
        "rbf": lambda a, b: math.exp(-0.2 * (a - b) ** 2),
    }
    for kernel in ops.KERNELS:
        y = ops.gnl(theta, phi, value, kernel, gamma=0.2, order=2)
        for b, g, i in ((0, 0, 0), (1, 2, 6), (0, 1, 3)):
            literal = sum(
                f[kernel](float(theta[b, g, i]), float(p)) * v for p, v in zip(phi[b, g], value[b, g], strict=True)
            )
            agree(y[b, g, i], literal, terms=4 * phi.shape[2], scale=1.0)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 8])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("kernel", ops.KERNELS)
def test_compact_is_dense_with_every_gradient(inputs, kernel, gamma, order):
    y, gradients = outcome(lambda *t: ops.gnl(*t[:3], kernel, gamma=t[3], order=order), *inputs, gamma)
    fast, others = outcome(lambda *t: ops.compact_gnl(*t[:3], kernel, gamma=t[3], order=order), *inputs, gamma)
    terms = (order + 1) * inputs[1].shape[2]  # powers of every key
    agree(fast, y, terms, scale=1.0)
    for ours, theirs in zip(others, gradients, strict=True):
        agree(ours, theirs, terms * inputs[0].shape[2], scale=1.0)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 5, 8, 12, 20])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_the_series_is_as_far_from_its_limit_as_the_rest_of_the_exponential(inputs, gamma, order):
    """|y(P) - y| <= e^(-2 gamma) z^(P+1)/(P+1)! e^z sum_j |g_j| with z = 2 gamma max|theta| max|phi|."""
    theta, phi, value, _ = inputs
    limit = ops.gnl(theta, phi, value, "taylor", gamma=gamma, order=None)
    z = 2 * gamma * theta.abs().amax(-1, keepdim=True) * phi.abs().amax(-1, keepdim=True)
    rest = math.exp(-2 * gamma) * z ** (order + 1) / float(math.factorial(order + 1)) * z.exp()
    bound = rest * value.abs().sum(-1, keepdim=True)
    away = (ops.compact_gnl(theta, phi, value, "taylor", gamma=gamma, order=order) - limit).abs()
    assert (away <= bound + 4 * 64 * torch.finfo(torch.float64).eps).all()
    assert order > 5 or away.max() > 1e-9


def test_the_constant_prefactor_is_another_function_except_at_plus_and_minus_one(inputs):
    theta, phi, value, _ = inputs

    def gap(theta, phi):
        series = ops.gnl(theta, phi, value, "taylor", gamma=0.05, order=None)
        return (series - ops.gnl(theta, phi, value, "rbf", gamma=0.05)).abs().max()

    assert gap(theta, phi) > 0.1
    assert gap(theta.sign(), phi.sign()) < 4 * 8 * torch.finfo(torch.float64).eps


def test_coefficients_are_those_of_the_released_code():
    """c_0 = 0.99980, c_1 = 2.0e-4, c_2 = 2.0e-8, c_3 = 1.3e-12 at gamma 1e-4, with a number and with a tensor."""
    expected = [math.exp(-2e-4) * 2e-4**p / math.factorial(p) for p in range(4)]
    assert ops.taylor_coefficients(1e-4, 3) == pytest.approx(expected, rel=1e-15)
    tensors = ops.taylor_coefficients(torch.tensor(1e-4, dtype=torch.float64), 3)
    assert [float(c) for c in tensors] == pytest.approx(expected, rel=1e-15)


def test_order_zero_looks_at_values_only(inputs):
    theta, phi, value, _ = inputs
    y = ops.compact_gnl(theta, phi, value, "taylor", gamma=0.1, order=0)
    agree(y, math.exp(-0.2) * value.sum(-1, keepdim=True).expand_as(y), terms=value.shape[2])


def test_grouped_tokens_are_contiguous_groups_of_channels():
    y = torch.arange(2.0 * 6 * 5).reshape(2, 6, 5)
    tokens = ops.grouped_tokens(y, 3)
    assert torch.equal(tokens[1, 2], y[1, 4:].flatten()) and tokens.shape == (2, 3, 10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kernel", ops.KERNELS)
def test_long_sums_of_halves_do_not_overflow(kernel, dtype):
    """4096 * 100 * 100 is beyond float16 six hundred times over, and so is 100^3 in one factor."""
    tokens = torch.full((1, 1, 4096), 100.0, dtype=dtype)
    y = ops.compact_gnl(tokens, tokens, tokens, kernel)
    expected = ops.gnl(*[tokens[..., :1].double()] * 3, kernel) * 4096
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.double(), expected.expand_as(y), rtol=1e-5, atol=0)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(ops.compact_gnl(*[tokens.float()] * 3, kernel), y)


def test_macs_are_products_of_tokens_that_no_counter_sees(inputs):
    assert ops.compact_gnl_macs(1000, "dot") == 1000
    assert ops.compact_gnl_macs(1000, "taylor", order=3) == 6000
    assert ops.compact_gnl_macs(1000, "rbf", max_span=8.0) == 2 * plan(8.0, torch.float32).features * 1000
    with FlopCounterMode(display=False) as counter:
        for kernel in ops.KERNELS:
            ops.compact_gnl(*inputs[:3], kernel)
    assert counter.get_total_flops() == 0
