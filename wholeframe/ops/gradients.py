"""Calling functions whose gradient is written by hand, without the time that torch takes for it."""

import inspect
from typing import Any, TypeVar

import torch

FunctionClass = TypeVar("FunctionClass", bound=type[torch.autograd.Function])


def signed(function: FunctionClass) -> FunctionClass:
    """Keeps the signature of `forward`, which torch would find out again at every call, slower than most products."""
    function.forward.__signature__ = inspect.signature(function.forward)
    return function


def applied(function: type[torch.autograd.Function], *inputs: Any) -> Any:
    """What the function gives; where nobody wants a gradient, of its `forward` alone.

    That has to be made of what torch has forward-mode derivatives of, as these are wanted without gradients too.
    """
    return function.apply(*inputs) if torch.is_grad_enabled() else function.forward(*inputs)
