"""Translate the parameter names of a reference into ours, and check that nothing is missing, unknown or misshapen."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from wholeframe.messages import quoted, refuse_unknown

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A reference implementation.

    Args:
        make: builds our block from the reference's arguments, with the reference's defaults.
        names: prefixes of the reference's parameters and buffers, tried in this order, and the prefixes that replace
            them here; None for a tensor that is dropped. A `*` is a number, the same in both.
    """

    make: Callable[..., nn.Module]
    names: Mapping[str, str | None]

    def rename(self, key: str) -> str | None:
        """Our name of one of the reference's tensors, or None if it is dropped."""
        for prefix, ours in self.names.items():
            if exchanged(key, prefix, ours or "") is not None:
                return None if ours is None else exchanged(key, prefix, ours)
        raise ValueError(f"the state has {key!r}, but this reference's names start with {quoted(self.names)}")

    def theirs(self, name: str) -> list[str]:
        """The names that the reference may have for one of our tensors."""
        pairs = [(ours, prefix) for prefix, ours in self.names.items() if ours is not None]
        return [theirs for pair in pairs if (theirs := exchanged(name, *pair)) is not None]


def exchanged(name: str, prefix: str, other: str) -> str | None:
    """The name with its prefix replaced by another, or None if it does not start with this prefix."""
    found = re.match(re.escape(prefix).replace(r"\*", r"(\d+)"), name)
    return None if found is None else other.replace("*", "".join(found.groups())) + name[found.end() :]


def call(what: str, function: Callable[..., T], arguments: Mapping[str, object]) -> T:
    """`function(**arguments)`; ValueError about `what` for unknown and missing arguments."""
    refuse_unknown(what, function, arguments)
    parameters = inspect.signature(function).parameters
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in arguments:
            raise ValueError(f"{what} needs {name!r}, which was not given; it takes {quoted(parameters)}")
    return function(**arguments)


def meaning(argument: str, value: object, meanings: Mapping[str | None, T]) -> T:
    """Our value for an option of a reference.

    A layer may be given as a class, as a `partial` of a class that sets only `inplace`, or by name.
    """
    if isinstance(value, partial) and value.keywords.keys() <= {"inplace"} and not value.args:
        value = value.func
    name = value if value is None or isinstance(value, str) else getattr(value, "__name__", repr(value))
    if name not in meanings:
        raise ValueError(f"{argument}={name!r} has no counterpart here; give one of {quoted(meanings)}")
    return meanings[name]


def load(module: nn.Module, source: Source, state: Mapping[str, Tensor]) -> None:
    """Load the reference's tensors into `module`, which takes their dtypes and devices.

    Raises:
        ValueError: for an unknown, missing or repeated tensor, and for one of another shape.
    """
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    ours: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = source.rename(key)
        if name is None:
            continue
        if name not in shapes:
            raise ValueError(
                f"the state has {key!r}, which is {name!r} here, but a block with these arguments has no such tensor; "
                "give the constructor's arguments that the state was trained with"
            )
        if name in ours:
            raise ValueError(f"the state has {name!r} twice, the second time as {key!r}; remove one of the two")
        ours[name] = _reshaped(key, tensor, name, shapes[name])
    for name in shapes:
        if name not in ours:
            raise ValueError(f"the state lacks {' or '.join(map(repr, source.theirs(name)))}, which is {name!r} here")
    module.load_state_dict(ours, assign=True)


def _reshaped(key: str, tensor: Tensor, name: str, shape: torch.Size) -> Tensor:
    """The tensor in our shape, which differs by axes of one.

    A 1x1(x1) convolution is a linear map here, a k x 1 convolution one of width k, a norm over `[p, 1, 1]` one over
    `[p]`.
    """
    if _without_ones(tensor.shape) != _without_ones(shape):
        raise ValueError(
            f"{key!r} has shape {tuple(tensor.shape)}, but {name!r} has {tuple(shape)} here; "
            "give the constructor's arguments that the state was trained with"
        )
    return tensor.detach().reshape(shape).clone()


def _without_ones(shape: torch.Size) -> tuple[int, ...]:
    """The shape without axes of one in the kernel, which follows the two channel axes, and at the end."""
    sizes = [*shape[:2], *(size for size in shape[2:] if size != 1)]
    while sizes and sizes[-1] == 1:
        sizes.pop()
    return tuple(sizes)
