"""Calling functions whose derivatives are written by hand: in both modes, in graphs, and quickly."""

import inspect
from typing import Any

import torch


def two_modes(function: Any) -> Any:
    """Makes `tangents` of an autograd function its derivative in forward mode, and keeps the signature of `forward`.

    A compiler refuses functions that have forward mode, so that is a function of its own, `dual`. The signature is
    found out at every call otherwise, which takes longer than most products.
    """
    function.forward.__signature__ = inspect.signature(function.forward)
    function.dual = type(function)(function.__name__, (function,), {"jvp": staticmethod(function.tangents)})
    return function


def derived(function: Any) -> Any:
    """The function with its derivatives: in a graph, with the one of the backward pass alone."""
    return function if torch.compiler.is_compiling() else function.dual


def applied(function: Any, *inputs: Any) -> Any:
    """What the function gives; where nobody wants a gradient, of its `forward` alone.

    That has to be made of what torch has forward-mode derivatives of, as these are wanted without gradients too.
    """
    return derived(function).apply(*inputs) if torch.is_grad_enabled() else function.forward(*inputs)
