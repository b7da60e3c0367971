"""Calling what has a gradient by hand."""

import inspect

import pytest
import torch

from wholeframe.ops.autograd import applied, two_modes


@two_modes
class Twice(torch.autograd.Function):
    @staticmethod
    def forward(x, factor=2):
        return factor * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.factor = inputs[1]

    @staticmethod
    def tangents(ctx, *tangents):
        return ctx.factor * tangents[0]

    @staticmethod
    def backward(ctx, *gradients):
        return ctx.factor * gradients[0], None


@two_modes
class InOrder(Twice):
    @staticmethod
    def forward(x, factor):
        return factor * x


def test_a_default_is_filled_in_and_has_its_gradient():
    x = torch.ones(3, requires_grad=True)
    y = applied(Twice, x)
    assert torch.equal(y, 2 * x) and y.requires_grad
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.full((3,), 2.0))


def test_without_a_gradient_torch_is_not_asked(monkeypatch):
    def refuse(*_):
        raise AssertionError("applied")

    monkeypatch.setattr(Twice.dual, "apply", refuse)
    with torch.no_grad():
        assert torch.equal(applied(Twice, torch.ones(3)), torch.full((3,), 2.0))
    with pytest.raises(AssertionError, match="applied"):
        applied(Twice, torch.ones(3))


def test_the_signature_is_found_out_once():
    assert inspect.signature(Twice.forward) is Twice.forward.__signature__


def test_arguments_in_order_are_bound_without_inspect(monkeypatch):
    """Its `bind` is some thirty calls, at every call of a Function."""
    bind, bound = inspect.Signature.bind, []

    def noted(signature, *args, **kwargs):
        bound.append(signature)
        return bind(signature, *args, **kwargs)

    monkeypatch.setattr(inspect.Signature, "bind", noted)
    x = torch.ones(3, requires_grad=True)
    applied(Twice, x)
    y = applied(InOrder, x, 3.0)
    assert any(signature is Twice.forward.__signature__ for signature in bound)  # its factor is left to the default
    assert not any(signature is InOrder.forward.__signature__ for signature in bound)
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.full((3,), 3.0))
    assert list(inspect.signature(InOrder.forward).parameters) == ["x", "factor"]


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own, as it loads forward mode
def test_forward_mode():
    x = torch.ones(3, requires_grad=True)
    assert torch.equal(torch.func.jvp(lambda t: applied(Twice, t), (x,), (2 * x,))[1], 4 * x)


@pytest.mark.compiled
def test_a_graph_has_the_function_too():
    x = torch.ones(3, requires_grad=True)
    y = torch.compile(lambda t: applied(Twice, t, 3), fullgraph=True, backend="aot_eager")(x)
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.full((3,), 3.0))
