"""Sums over pairs by sorting, against sums over literal pairs."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck
from torch.func import vmap

from wholeframe import ops
from wholeframe.blocks import NonLocal
from wholeframe.ops.non_local.concatenation import pair_sums


def literal(a, b, value, sums, m):
    pairs = a[:, :, None] + b[:, None, :]
    weights = {"ramp": F.relu(pairs), "step": (pairs > 0).to(value.dtype)}
    return tuple(weights[name] / m @ value for name in sums)


def scores(q, k, dtype=torch.float64, v=3):
    torch.manual_seed(0)
    return [torch.randn(*shape, dtype=torch.float64).to(dtype) for shape in ((2, q), (2, k), (2, k, v))]


def outcome(function, a, b, value, dy):
    inputs = [x.clone().requires_grad_() for x in (a, b, value)]
    (y,) = function(*inputs, ("ramp",), 7)
    y.backward(dy)
    return {"y": y.detach(), **{name: x.grad for name, x in zip(("a", "b", "value"), inputs, strict=True)}}


def compare(a, b, value):
    dy = torch.linspace(-1, 1, 2 * a.shape[1] * value.shape[2], dtype=a.dtype).reshape(2, a.shape[1], -1)
    expected, actual = (outcome(f, a, b, value, dy) for f in (literal, pair_sums))
    for name, tensor in expected.items():
        largest = max(float(tensor.abs().max()), 1e-3)
        tolerance = {"rtol": 0, "atol": (1e-13 if name == "y" else 1e-12) * largest}
        torch.testing.assert_close(actual[name], tensor, **tolerance, msg=lambda text, at=name: f"{at}: {text}")


AROUND_BLOCKS = [(1, 1), (1, 100), (100, 1), (31, 31), (32, 32), (33, 33), (63, 64), (64, 63), (65, 65), (100, 100)]


@pytest.mark.parametrize(("q", "k"), [*AROUND_BLOCKS, (7, 500), (500, 7)])
def test_ramps_are_those_of_literal_pairs(q, k):
    compare(*scores(q, k))


@pytest.mark.parametrize(("q", "k"), AROUND_BLOCKS)
def test_ties_are_no_pairs(q, k):
    """Whole numbers: queries at knots, several knots at one place, all of them at one place."""
    a, b, value = scores(q, k)
    compare(a.round(), b.round(), value)
    compare(torch.zeros_like(a), torch.zeros_like(b), value)


@pytest.mark.parametrize("shift", [-50, 50])
def test_queries_left_of_all_knots_meet_no_key_and_right_of_them_all(shift):
    a, b, value = scores(40, 70)
    compare(a + shift, b, value)


def test_steps_are_those_of_literal_pairs():
    a, b, value = scores(65, 100)
    for x, y in zip(
        pair_sums(a, b, value, ("ramp", "step"), 2), literal(a, b, value, ("ramp", "step"), 2), strict=True
    ):
        torch.testing.assert_close(x, y, rtol=1e-13, atol=1e-13)


def test_vmap_over_some_of_the_inputs_is_a_loop():
    a, b, value = scores(40, 70)
    several = torch.stack([a, a.flip(1), 2 * a], dim=2)
    (found,) = vmap(lambda a: pair_sums(a, b, value, ("ramp",), 70), in_dims=2)(several)
    expected = [pair_sums(a, b, value, ("ramp",), 70)[0] for a in several.unbind(2)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-13, atol=1e-13)


@pytest.mark.slow
def test_gradients_of_every_order():
    inputs = [x.requires_grad_() for x in scores(5, 40, v=2)]

    def ramp(a, b, value):
        return pair_sums(a, b, value, ("ramp",), 40)

    assert gradcheck(ramp, inputs)
    assert gradgradcheck(ramp, inputs)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("where", ["a", "b", "value", "a and b"])
def test_what_is_not_finite_shows_where_it_would(where, bad):
    a, b, value = scores(40, 70)
    if "a" in where.split():
        a[0, 3] = bad
    if "b" in where.split():
        b[0, 69] = bad
    if where == "value":
        value[0, 5, 1] = bad
    (expected,), (actual,) = (f(a, b, value, ("ramp",), 70) for f in (literal, pair_sums))
    finite = expected.isfinite()
    assert not finite.all() or bad == -torch.inf
    assert torch.equal(actual.isfinite(), finite)
    torch.testing.assert_close(actual[finite], expected[finite], rtol=1e-13, atol=1e-13)


def test_nothing_finite_at_all():
    a, b, value = scores(4, 5)
    (y,) = pair_sums(torch.full_like(a, -torch.inf), torch.full_like(b, -torch.inf), value, ("ramp",), 5)
    assert torch.equal(y, torch.zeros_like(y))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("offset", [0, 30])
def test_float32_errs_no_more_than_the_definition_does(offset):
    """Interpolating between knots adds up nothing large, so many positions or an offset cost no digits."""
    a, b, value = scores(3000, 3000, torch.float32, v=8)
    a, b = a + offset, b - offset
    dy = torch.randn(2, 3000, 8)
    exact = outcome(literal, a.double(), b.double(), value.double(), dy.double())
    errors = [
        {name: float((tensor - exact[name]).abs().max() / exact[name].abs().max()) for name, tensor in found.items()}
        for found in (outcome(literal, a, b, value, dy), outcome(pair_sums, a, b, value, dy))
    ]
    for name, definition in errors[0].items():
        assert errors[1][name] < max(1.2 * definition, 3e-7), name


@pytest.mark.slow
def test_the_gradient_of_an_offset_errs_as_much_as_that_of_the_definition():
    """One sum of both signs over all queries, so relative to what such a sum usually leaves, and over several draws."""

    def offset_gradient(function, a, b, value, dy):
        offset = torch.zeros(1, dtype=a.dtype, requires_grad=True)
        (y,) = function(a + offset, b, value, ("ramp",), 7)
        return torch.autograd.grad(y, offset, dy)[0].double()

    squares = torch.zeros(2, dtype=torch.float64)
    for seed in range(12):
        torch.manual_seed(seed)
        inputs = [torch.randn(2, 1000), torch.randn(2, 1000), torch.randn(2, 1000, 8), torch.randn(2, 1000, 8)]
        exact = outcome(literal, *(t.double() for t in inputs))["a"]
        for place, function in enumerate((literal, pair_sums)):
            squares[place] += float(offset_gradient(function, *inputs) - exact.sum()) ** 2 / exact.square().sum()
    definition, ours = (squares / 12).sqrt()
    assert ours < 1.2 * definition < 3e-7


def test_a_spread_of_queries_far_beyond_the_knots_costs_no_digits():
    a, b, value = scores(400, 400, torch.float32)
    a = 1e5 * a
    exact = outcome(literal, a.double(), b.double(), value.double(), torch.ones(2, 400, 3).double())
    found = outcome(pair_sums, a, b, value, torch.ones(2, 400, 3))
    assert (found["y"] - exact["y"]).abs().max() / exact["y"].abs().max() < 1e-6


def test_an_onnx_export_takes_the_definition(monkeypatch):
    x, w_f = torch.randn(1, 500, 4), torch.randn(8)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    with pytest.raises(ValueError, match="backend='sorted' cannot run here: ONNX has no searchsorted"):
        ops.non_local_operation(x, x, x, "concatenation", w_f=w_f, backend="sorted")
    block = NonLocal(4, kind="concatenation")
    assert block.backend_for(torch.zeros(1, 4, 500)) == "dense"
    y, dense = (ops.non_local_operation(x, x, x, "concatenation", w_f=w_f, backend=name) for name in ("auto", "dense"))
    assert torch.equal(y, dense)
