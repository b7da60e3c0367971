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


def test_every_parameter_has_a_gradient(alive, x):
    block = alive()
    block(x).square().sum().backward()
    assert all(parameter.grad is not None and torch.isfinite(parameter.grad).all() for parameter in block.parameters())
