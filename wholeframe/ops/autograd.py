"""Call autograd Functions with hand-written derivatives: in both modes, inside compiled graphs, at little cost."""

import inspect
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]
from torch.autograd import forward_ad

transformed = torch._C._are_functorch_transforms_active
"""Whether a transform of torch.func is active. vmap refuses to add many samples to one in place."""


def in_transform() -> bool:
    """Whether a transform of torch.func is active, or forward mode: their tensors stand for others."""
    return transformed() or forward_ad._current_level >= 0


def many(gradient: Tensor) -> bool:
    """Whether a gradient stands for many (`is_grads_batched`), which cannot be written into one tensor."""
    return _functorch.is_legacy_batchedtensor(gradient) or transformed()


class _Bound(NamedTuple):
    """The arguments of a call, as `inspect.BoundArguments` has them."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def apply_defaults(self) -> None:
        """No argument is missing."""


class _InOrder(inspect.Signature):
    """The signature of a function that is called with all its arguments in order, so that nothing is to be bound."""

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        return _Bound(args, kwargs)


def in_order(function: Any) -> Any:
    """Class decorator of an autograd Function whose `apply` gets all arguments of `forward` in order.

    Torch binds them to the signature at every call. `inspect` would take longer for it than most products.
    """
    parameters = list(inspect.signature(function.forward).parameters.values())
    complete = all(parameter.default is parameter.empty for parameter in parameters)
    function.forward.__signature__ = (_InOrder if complete else inspect.Signature)(parameters)
    return function


def two_modes(function: Any) -> Any:
    """Class decorator of an autograd Function: `in_order`, and forward mode.

    Forward mode is the static method `tangents`. torch.compile rejects a Function that defines `jvp`, so a subclass,
    `function.dual`, defines it.
    """
    function.dual = type(function)(function.__name__, (function,), {"jvp": staticmethod(function.tangents)})
    return in_order(function)


def derived(function: Any) -> Any:
    """The Function with both modes, or the reverse-only one inside a compiled graph."""
    return function if torch.compiler.is_compiling() else function.dual


def applied(function: Any, *inputs: Any) -> Any:
    """Call an autograd Function; without grad mode call `forward` directly, which avoids the overhead of a graph.

    `forward` consists of ops that have forward-mode derivatives in torch, because forward mode also works without
    grad mode. A trace records the ops of `forward` as well, because it cannot record a Function.
    """
    if not torch.is_grad_enabled() or torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        return function.forward(*inputs)
    with torch._C.DisableTorchFunctionSubclass():  # a subclass would make views in it, which no layer may overwrite
        return (function if torch.compiler.is_compiling() else function.dual).apply(*inputs)
