"""Foreign parameter names to ours: the one rename engine, and the checks around it."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from wholeframe.messages import nearest, quoted

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A reference implementation.

    Args:
        make: our block from the reference's own arguments, with its own defaults.
        names: prefixes of the reference's parameters and buffers, in the order in which they are tried, and what
            stands for them here; None for a name that is known and dropped. A `*` is a number, the same in both.
    """

    make: Callable[..., nn.Module]
    names: Mapping[str, str | None]

    def rename(self, key: str) -> str | None:
        """Our name of one of the reference's tensors, or None where it is known and dropped."""
        for prefix, ours in self.names.items():
            if exchanged(key, prefix, ours or "") is not None:
                return None if ours is None else exchanged(key, prefix, ours)
        raise ValueError(f"the state has {key!r}, but this reference's names start with {quoted(self.names)}")

    def theirs(self, name: str) -> list[str]:
        """What the reference may call one of our tensors."""
        pairs = [(ours, prefix) for prefix, ours in self.names.items() if ours is not None]
        return [theirs for pair in pairs if (theirs := exchanged(name, *pair)) is not None]


def exchanged(name: str, prefix: str, other: str) -> str | None:
    """The name with another prefix, or None where it does not start with this one."""
    found = re.match(re.escape(prefix).replace(r"\*", r"(\d+)"), name)
    return None if found is None else other.replace("*", "".join(found.groups())) + name[found.end() :]


def call(what: str, function: Callable[..., T], arguments: Mapping[str, object]) -> T:
    """`function(**arguments)`, refusing unknown and missing arguments in a sentence about `what`."""
    parameters = inspect.signature(function).parameters
    for name in arguments:
        if name not in parameters:
            raise ValueError(f"{what} has no argument {name!r}; {nearest(name, parameters)}")
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in arguments:
            raise ValueError(f"{what} needs {name!r}, which was not given; it has {quoted(parameters)}")
    return function(**arguments)


def meaning(argument: str, value: object, meanings: Mapping[str | None, T]) -> T:
    """What a foreign option stands for here.

    A layer may be given as a class, as a `partial` of one that sets no more than `inplace`, or by name.
    """
    if isinstance(value, partial) and value.keywords.keys() <= {"inplace"} and not value.args:
        value = value.func
    name = value if value is None or isinstance(value, str) else getattr(value, "__name__", repr(value))
    if name not in meanings:
        raise ValueError(f"{argument}={name!r} has no counterpart here; those that have one are {quoted(meanings)}")
    return meanings[name]


def load(module: nn.Module, source: Source, state: Mapping[str, Tensor]) -> None:
    """Give `module` the reference's tensors, with their dtypes and on their devices."""
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    ours: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = source.rename(key)
        if name is None:
            continue
        if name not in shapes:
            raise ValueError(
                f"the state has {key!r}, {name!r} here, but a block with these arguments has no such tensor; "
                "give the constructor's arguments that the state was trained with"
            )
        if name in ours:
            raise ValueError(f"the state has {name!r} twice, the second time as {key!r}; drop one of the two")
        ours[name] = _reshaped(key, tensor, name, shapes[name])
    for name in shapes:
        if name not in ours:
            raise ValueError(f"the state lacks {' or '.join(map(repr, source.theirs(name)))}, {name!r} here")
    module.load_state_dict(ours, assign=True)


def _reshaped(key: str, tensor: Tensor, name: str, shape: torch.Size) -> Tensor:
    """A 1x1(x1) convolution is a linear map, a k x 1 one is one of width k, a norm over `[p, 1, 1]` one over `[p]`."""
    if _without_ones(tensor.shape) != _without_ones(shape):
        raise ValueError(
            f"{key!r} has shape {tuple(tensor.shape)}, but {name!r} has {tuple(shape)} here; "
            "give the constructor's arguments that the state was trained with"
        )
    return tensor.detach().reshape(shape).clone()


def _without_ones(shape: torch.Size) -> tuple[int, ...]:
    """Without axes of one in a kernel, which stands behind the channels out and in, and at the end."""
    sizes = [*shape[:2], *(size for size in shape[2:] if size != 1)]
    while sizes and sizes[-1] == 1:
        sizes.pop()
    return tuple(sizes)
