"""Gradients of the input and of every parameter are those of finite differences."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call

BACKENDS = ("nl", "nl_gaussian", "nl_euclidean", "nl_dot", "nl_concatenation")


def as_function(block):
    """The block as a function of its input and its parameters."""
    names = [name for name, _ in block.named_parameters()]
    values = [parameter.detach().clone().requires_grad_() for parameter in block.parameters()]

    def function(x, *parameters):
        return functional_call(block, dict(zip(names, parameters, strict=True)), (x,))

    return function, values


@pytest.fixture
def small(x):
    """The first cells of the map: finite differences are taken for each of its numbers."""
    return x[(..., *[slice(0, 3)] * (x.ndim - 2))][..., :2].contiguous().requires_grad_()


def test_gradcheck(alive, small):
    function, values = as_function(alive())
    assert gradcheck(function, (small, *values))


def test_gradgradcheck(alive, name, small):
    """Second derivatives: on the definition where fused kernels have none, as has torch's hard sigmoid."""
    twice = {"ese": {"gate": "sigmoid"}, **{block: {"backend": "dense"} for block in BACKENDS}}
    function, values = as_function(alive(**twice.get(name, {})))
    assert gradgradcheck(function, (small, *values), fast_mode=True)


class Tagged(torch.Tensor):
    """A tensor of another class, as some data libraries give."""


STORED = {
    "contiguous": lambda x: x,
    "channels_last": lambda x: x.movedim(1, -1).contiguous().movedim(-1, 1),
    "subclass": lambda x: x.as_subclass(Tagged),
}


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
def test_the_next_layer_may_overwrite_the_output(alive, x, stored):
    """As `out += identity` of a residual block does. In eval mode a norm is merged, so the block ends in a product."""
    block = alive().eval()

    def gradients(after):
        block.zero_grad()
        given = x.clone().requires_grad_()
        after(block(stored(given))).relu_().square().sum().backward()
        return {"x": given.grad} | {name: parameter.grad for name, parameter in block.named_parameters()}

    expected, found = gradients(lambda y: y + x), gradients(lambda y: y.add_(x))
    for name, gradient in expected.items():
        assert torch.equal(found[name], gradient), name


def test_every_parameter_has_a_gradient(alive, x):
    block = alive()
    block(x).square().sum().backward()
    assert all(parameter.grad is not None and torch.isfinite(parameter.grad).all() for parameter in block.parameters())
