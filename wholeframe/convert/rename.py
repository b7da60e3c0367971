"""Translate the parameter names of a reference into ours, and check that nothing is missing, unknown or misshapen."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal, TypeVar, get_args, get_origin

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
        if prefix_of(key, self.names) is None:
            raise ValueError(f"the state has {key!r}, but this reference's names start with {quoted(self.names)}")
        return renamed(key, self.names)

    def theirs(self, name: str) -> list[str]:
        """The names that the reference may have for one of our tensors."""
        return theirs(name, self.names)


def prefix_of(key: str, names: Mapping[str, str | None]) -> str | None:
    """The first prefix of a table of names that the key starts with, or None."""
    return next((prefix for prefix in names if _pattern(prefix).match(key)), None)


def renamed(key: str, names: Mapping[str, str | None]) -> str | None:
    """Our name of a tensor; None if the table drops it or has no prefix of it."""
    prefix = prefix_of(key, names)
    ours = None if prefix is None else names[prefix]
    return None if prefix is None or ours is None else exchanged(key, prefix, ours)


def theirs(name: str, names: Mapping[str, str | None]) -> list[str]:
    """The names that a table may have for one of our tensors."""
    pairs = [(ours, prefix) for prefix, ours in names.items() if ours is not None]
    return [other for pair in pairs if (other := exchanged(name, *pair)) is not None]


def exchanged(name: str, prefix: str, other: str) -> str | None:
    """The name with its prefix replaced by another, or None if it does not start with this prefix.

    Each number of the prefix takes the place of one `*`, in order.
    """
    found = _pattern(prefix).match(name)
    if found is None:
        return None
    numbers = iter(found.groups())
    return re.sub(r"\*", lambda _: next(numbers), other) + name[found.end() :]


@cache
def _pattern(prefix: str) -> re.Pattern[str]:
    return re.compile(re.escape(prefix).replace(r"\*", r"(\d+)"))


def call(what: str, function: Callable[..., T], arguments: Mapping[str, object]) -> T:
    """`function(**arguments)`; ValueError about `what` for unknown and missing arguments."""
    refuse_unknown(what, function, arguments)
    parameters = inspect.signature(function).parameters
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in arguments:
            raise ValueError(f"{what} needs {name!r}, which was not given; {_choices(parameter, parameters)}")
    return function(**arguments)


def _choices(parameter: inspect.Parameter, parameters: Mapping[str, object]) -> str:
    """What to give for an argument, as the end of a sentence."""
    if get_origin(parameter.annotation) is Literal:
        return f"give one of {quoted(get_args(parameter.annotation))}"
    return f"it takes {quoted(parameters)}"


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
    own = module.state_dict()
    ours: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = source.rename(key)
        if name is None:
            continue
        if name in ours:
            raise ValueError(f"the state has {name!r} twice, the second time as {key!r}; remove one of the two")
        ours[name] = fitted(key, tensor, name, own, "a block with these arguments", ARGUMENTS).clone()
    for name in own:
        if name not in ours:
            raise ValueError(f"the state lacks {quoted_or(source.theirs(name))}, which is {name!r} here")
    module.load_state_dict(ours, assign=True)


ARGUMENTS = "give the constructor's arguments that the state was trained with"


def quoted_or(names: list[str]) -> str:
    """`'a' or 'b'`."""
    return " or ".join(map(repr, names))


def fitted(key: str, tensor: Tensor, name: str, own: Mapping[str, Tensor], what: str, advice: str) -> Tensor:
    """The reference's tensor `key` in the shape of our tensor `name`, which differs by axes of one.

    A 1x1(x1) convolution is a linear map here, a k x 1 convolution one of width k, a norm over `[p, 1, 1]` one over
    `[p]`.

    Args:
        own: our state dict.
        what: has this state dict, in the words of the message.
        advice: the end of the message.
    """
    if name not in own:
        raise ValueError(f"the state has {key!r}, which is {name!r} here, but {what} has no such tensor; {advice}")
    shape = own[name].shape
    if _without_ones(tensor.shape) != _without_ones(shape):
        raise ValueError(f"{key!r} has shape {tuple(tensor.shape)}, but {name!r} has {tuple(shape)} here; {advice}")
    return tensor.detach().reshape(shape)


def _without_ones(shape: torch.Size) -> tuple[int, ...]:
    """The shape without axes of one in the kernel, which follows the two channel axes, and at the end."""
    sizes = [*shape[:2], *(size for size in shape[2:] if size != 1)]
    while sizes and sizes[-1] == 1:
        sizes.pop()
    return tuple(sizes)
