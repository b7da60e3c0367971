"""The linear-cost RBF against the dense one in float64: outputs, every gradient, and what is out of range."""

import runpy
from pathlib import Path

import pytest
import rounding
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.export import Dim, export

from wholeframe import ops
from wholeframe.ops.cgnl.gaussian_features import Fourier, Mercer, plan

GAMMAS = (1e-4, 0.05, 1.0)
RANGES = (1, 5, 20, 40)
# y; the gradients of theta, phi and value
# Of y and of its gradients, relative to the largest number: sums over at most 64 features.
BOUNDS = {
    dtype: (rounding.bound(64, 1.0, dtype), rounding.bound(256, 1.0, dtype)) for dtype in (torch.float64, torch.float32)
}


def tokens(span, dtype=torch.float64, i=300, j=200):
    """theta, phi, value and the gradient of y, over exactly this range, the same numbers in every dtype."""
    torch.manual_seed(0)
    theta, phi = (span * (torch.rand(2, 3, size) - 0.5) for size in (i, j))
    theta[..., 0], phi[..., 0] = span / 2, -span / 2
    return [t.to(dtype) for t in (theta, phi, torch.randn(2, 3, j), torch.randn(2, 3, i))]


def outcome(operation, theta, phi, value, dy, gamma):
    inputs = [t.clone().requires_grad_() for t in (theta, phi, value)]
    gamma = torch.tensor(gamma, dtype=torch.float64, requires_grad=True)
    y = operation(*inputs, gamma)
    return [y, *torch.autograd.grad(y, [*inputs, gamma], dy)]


def dense(theta, phi, value, gamma):
    return ops.gnl(theta, phi, value, "rbf", gamma=gamma)


def error(actual, expected):
    return float((actual.detach().double() - expected.detach()).abs().max() / expected.detach().abs().max())


@pytest.mark.parametrize("dtype", BOUNDS, ids=["float64", "float32"])
@pytest.mark.parametrize("span", RANGES)
@pytest.mark.parametrize("gamma", GAMMAS)
def test_it_is_the_dense_sum_to_rounding(gamma, span, dtype):
    expected = outcome(dense, *tokens(span), gamma)
    actual = outcome(ops.gauss_transform, *tokens(span, dtype), gamma)
    bound_y, bound_gradient = BOUNDS[dtype]
    assert actual[0].dtype == dtype
    assert error(actual[0], expected[0]) < bound_y
    for ours, theirs in zip(actual[1:4], expected[1:4], strict=True):
        assert error(ours, theirs) < bound_gradient
    # gamma's gradient is one sum over pairs of both signs, which may happen to leave nothing: right relative to what
    # such a sum usually leaves.
    theta, phi, value, dy = tokens(span)
    squares = (theta[..., :, None] - phi[..., None, :]).square()
    usual = (dy[..., :, None] * value[..., None, :] * squares * torch.exp(-gamma * squares)).square().sum().sqrt()
    assert (actual[4] - expected[4]).abs() < bound_y / 3 * max(usual, expected[4].abs())


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("dtype", BOUNDS, ids=["float64", "float32"])
@pytest.mark.parametrize("spread", ["uniform", "ends"])
def test_no_span_in_between_is_worse(spread, dtype):
    """Through every change of plan; tokens at the two ends alone are what Mercer's series is worst at.

    Beyond a span of 2 the two ends no longer see each other, and a derivative at zero distance is zero.
    """
    for span in (1e-6, 1e-3, *(0.01 * 1.25**k for k in range(37))):
        inputs = tokens(span, i=60, j=50)
        if spread == "ends" and span < 2:
            inputs[:2] = [span / 2 * torch.randn_like(t).sign() for t in inputs[:2]]
        inputs = [t.to(dtype) for t in inputs]
        actual, expected = (
            outcome(ops.gauss_transform, *inputs, 1.0),
            outcome(dense, *(t.double() for t in inputs), 1.0),
        )
        bound_y, bound_gradient = BOUNDS[dtype]
        bounds = (bound_y, *[bound_gradient] * 3)
        for ours, theirs, bound in zip(actual[:4], expected[:4], bounds, strict=True):
            assert error(ours, theirs) < bound, span


@pytest.mark.parametrize("span", [3, 30])
def test_an_offset_costs_no_digits(span):
    theta, phi, value, dy = tokens(span)
    expected = outcome(dense, theta, phi, value, dy, 0.05)
    # 512 + t is exact here: what is left of t after that is the range's own rounding.
    moved = [512 + t for t in (theta, phi)]
    kept = outcome(dense, *(t - 512 for t in moved), value, dy, 0.05)
    for ours, theirs in zip(outcome(ops.gauss_transform, *moved, value, dy, 0.05)[:4], kept[:4], strict=True):
        assert error(ours, theirs) < BOUNDS[torch.float64][1]
    assert error(kept[0], expected[0]) < 1e-11


def test_a_plan_for_more_than_the_data_need_is_as_good():
    theta, phi, value, dy = tokens(5)
    expected = outcome(dense, theta, phi, value, dy, 0.05)
    for max_span in (2.0, 7.0, 40.0):
        actual = outcome(
            lambda *t, max_span=max_span: ops.gauss_transform(*t, max_span=max_span), theta, phi, value, dy, 0.05
        )
        for ours, theirs in zip(actual[:4], expected[:4], strict=True):
            assert error(ours, theirs) < BOUNDS[torch.float64][1]


def test_few_features_for_a_small_span_and_few_waves_for_a_large_one():
    assert plan(0.0, torch.float64) == Mercer(1)
    assert plan(0.1, torch.float32) == Mercer(3)
    assert plan(0.1, torch.float32, derivative=1) == Mercer(4)
    assert isinstance(plan(2.0, torch.float64), Mercer) and isinstance(plan(20.0, torch.float64), Fourier)
    features = [plan(span, torch.float64).features for span in (0.01, 0.1, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)]
    assert features == sorted(features) and features[-1] < 160


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("gamma", [0.1, 30.0])
def test_gradcheck_and_gradgradcheck(gamma):
    theta, phi, value, _ = tokens(1.5, i=4, j=3)
    gamma = torch.tensor(gamma, dtype=torch.float64)
    assert isinstance(plan(1.5 * float(gamma) ** 0.5, torch.float64), Mercer if gamma < 1 else Fourier)
    inputs = [t.clone().requires_grad_() for t in (theta, phi, value, gamma)]
    assert gradcheck(ops.gauss_transform, inputs)
    assert gradgradcheck(ops.gauss_transform, inputs)


def test_second_derivatives_are_those_of_the_dense_sum():
    theta, phi, value, dy = tokens(4, i=30, j=20)

    def second(operation):
        inputs = [t.clone().requires_grad_() for t in (theta, phi, value)]
        first = torch.autograd.grad(operation(*inputs, 0.3), inputs, dy, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), inputs)

    for ours, theirs in zip(second(ops.gauss_transform), second(dense), strict=True):
        assert error(ours, theirs) < 1e-12


@pytest.mark.parametrize("span", [2, 6])
def test_second_derivatives_in_gamma_are_those_of_the_dense_sum(span):
    theta, phi, value, dy = tokens(span, i=30, j=20)

    def second(operation):
        inputs = [t.clone().requires_grad_() for t in (theta, phi, value, torch.tensor(0.9, dtype=torch.float64))]
        first = torch.autograd.grad(operation(*inputs), inputs, dy, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), inputs)

    assert isinstance(plan(span * 0.9**0.5, torch.float64, 2), Mercer if span == 2 else Fourier)
    for ours, theirs in zip(second(ops.gauss_transform), second(dense), strict=True):
        assert error(ours, theirs) < 1e-12


def test_nothing_but_the_inputs_is_kept_for_the_backward_pass():
    theta, phi, value, _ = (t.requires_grad_() for t in tokens(40, i=1000, j=1000))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        ops.gauss_transform(theta, phi, value, 1.0)
    assert sum(kept) <= 3 * theta.numel()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_computed_in_float32(dtype):
    theta, phi, value, _ = tokens(5, dtype)
    y = ops.gauss_transform(theta, phi, value, 0.05)
    assert y.dtype == torch.float32
    assert error(y, dense(theta.double(), phi.double(), value.double(), 0.05)) < BOUNDS[torch.float32][0]


def test_a_range_beyond_the_plan_raises():
    theta, phi, value, _ = tokens(20)
    with pytest.raises(
        ValueError, match=r"the embeddings is 20, beyond the declared max_span=8; give max_span=25 or None, or"
    ):
        ops.gauss_transform(theta, phi, value, 1.0, max_span=8.0)
    with pytest.raises(ValueError, match="is 2000, beyond the supported 1024; take a smaller gamma"):
        ops.gauss_transform(theta, phi, value, 1e4)
    assert torch.isfinite(ops.gauss_transform(theta, phi, value, 1.0, max_span=20.5)).all()


def test_the_largest_range_is_still_right():
    theta, phi, value, dy = tokens(1000, torch.float32)
    expected = outcome(dense, *(t.double() for t in (theta, phi, value, dy)), 1.0)
    for ours, theirs in zip(outcome(ops.gauss_transform, theta, phi, value, dy, 1.0)[:4], expected[:4], strict=True):
        assert error(ours, theirs) < BOUNDS[torch.float32][1]


@pytest.mark.parametrize("max_span", [0.0, -1.0, 5000.0])
def test_a_max_span_that_cannot_be_is_refused(max_span):
    with pytest.raises(ValueError, match="max_span must be a positive number up to 1024, or None, got"):
        ops.gauss_transform(*tokens(1)[:3], 1.0, max_span=max_span)


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("nan")])
def test_a_gamma_that_cannot_be_is_refused(gamma):
    with pytest.raises(ValueError, match=r"gamma must be positive, got .*1e-4"):
        ops.gauss_transform(*tokens(1)[:3], gamma)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_stays_in_its_group(bad):
    theta, phi, value, _ = tokens(5)
    expected = ops.gauss_transform(theta, phi, value, 0.05)
    theta[0, 1, 7] = bad
    y = ops.gauss_transform(theta, phi, value, 0.05)
    assert y[0, 1].isnan().all()
    y[0, 1] = expected[0, 1]
    torch.testing.assert_close(y, expected, rtol=1e-13, atol=1e-13)


def test_equal_tokens_and_empty_batches():
    theta, value = torch.full((2, 3, 4), 7.0), torch.ones(2, 3, 4)
    assert torch.equal(ops.gauss_transform(theta, theta, value, 1.0), torch.full((2, 3, 4), 4.0))
    assert ops.gauss_transform(theta[:0], theta[:0], value[:0], 1.0).shape == (0, 3, 4)


def test_the_page_is_that_of_its_script():
    """Its text, and the rows of its table: the last digit of a rounding error is the machine's."""
    docs = Path(__file__).parents[3] / "docs"
    script = runpy.run_path(str(docs / "rbf.py"))
    before, after = script["PAGE"].format(tokens=2000, table="\f").split("\f")
    page = (docs / "rbf.md").read_text()
    assert page.startswith(before) and page.endswith(after)
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in page.splitlines() if line.startswith("| ")]
    table = [[f"{gamma:g}", f"{r:g}", script["features"](gamma**0.5 * r)] for gamma in GAMMAS for r in RANGES]
    assert rows[2:] == table
    assert script["row"](0.05, 5, 20)[:3] == table[5]


class Rbf(nn.Module):
    def __init__(self, gamma, max_span):
        super().__init__()
        self.gamma, self.max_span = gamma, max_span

    def forward(self, theta, phi, value):
        return ops.gauss_transform(theta, phi, value, self.gamma, max_span=self.max_span)


@pytest.mark.slow
@pytest.mark.parametrize("max_span", [*(pytest.param(span, marks=pytest.mark.slow) for span in (1.0, 30.0)), None])
def test_an_exported_graph_takes_any_number_of_tokens_and_raises_beyond_its_span(max_span):
    tokens_dim, within = Dim("tokens"), 0.9 * (max_span or 8.0)
    theta, phi, value, _ = tokens(within, i=200)
    shapes = ({2: tokens_dim},) * 3
    graph = export(Rbf(1.0, max_span), (theta, phi, value), dynamic_shapes=shapes).module()
    other = tokens(within, i=77, j=77)[:3]
    assert error(graph(*other), dense(*other, 1.0)) < BOUNDS[torch.float64][0]
    with pytest.raises(RuntimeError, match=r"beyond the max_span=.* that this graph was built for"):
        graph(*tokens(1.5 * within, i=77, j=77)[:3])


@pytest.mark.compiled
@pytest.mark.slow
def test_a_compiled_graph_has_the_gradients_and_raises_beyond_its_span():
    max_span = 6.0
    torch._dynamo.reset()
    compiled = torch.compile(Rbf(1.0, max_span), fullgraph=True, backend="aot_eager")
    for size in (50, 70):
        theta, phi, value, dy = tokens(0.9 * max_span, i=size, j=size)
        expected = outcome(dense, theta, phi, value, dy, 1.0)
        inputs = [t.requires_grad_() for t in (theta, phi, value)]
        y = compiled(*inputs)
        assert error(y, expected[0]) < BOUNDS[torch.float64][0]
        for ours, theirs in zip(torch.autograd.grad(y, inputs, dy), expected[1:4], strict=True):
            assert error(ours, theirs) < BOUNDS[torch.float64][1]
    with pytest.raises(RuntimeError, match=r"beyond the max_span=.* that this graph was built for"):
        compiled(*tokens(1.5 * max_span, i=50, j=50)[:3])
