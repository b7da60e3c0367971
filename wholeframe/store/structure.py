"""What a network is apart from its tensors: its modules, and the plain attributes that decide what they compute."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torchvision.ops import MultiScaleRoIAlign

from wholeframe.messages import shown
from wholeframe.surgery.placement import in_block

CACHED = {MultiScaleRoIAlign: ("scales",)}
"""Attributes that a module computes from its first input, and not from its arguments."""


def lines(network: nn.Module, but_blocks: bool = False) -> dict[str, str]:
    """For each module by name, its class with what it prints of itself, and the shapes of its tensors."""
    found: dict[str, str] = {}
    for name, module in network.named_modules():
        if not (but_blocks and in_block(name)):
            own = {**module._parameters, **module._buffers}
            shapes = [f"{key}{tuple(tensor.shape)}" for key, tensor in own.items() if tensor is not None]
            found[name] = f"{type(module).__name__}({module.extra_repr()}) {' '.join(shapes)}".strip()
    return found


def described(network: nn.Module) -> tuple[str, ...]:
    """The lines of a network without its blocks, each with the name of its module."""
    return tuple(f"{name}: {line}" for name, line in lines(network, but_blocks=True).items())


def difference(here: Mapping[str, str], there: Mapping[str, str], where: str) -> str | None:
    """The first module that differs, as a part of a sentence; None if all are equal.

    Args:
        here: the lines of the network.
        there: those of another one.
        where: how the sentence names the other one.
    """
    for name in dict.fromkeys([*here, *there]):
        mine, other = here.get(name, "absent"), there.get(name, "absent")
        if mine != other:
            place = f"its module {name!r}" if name else "the network itself"
            return f"{place} is {shown(mine, 120)}, and {shown(other, 120)} {where}"
    return None


def settings(network: nn.Module, other: nn.Module | None = None) -> dict[str, dict[str, Any]]:
    """The plain attributes of the network that have another value in a network of the same modules; all without one."""
    found: dict[str, dict[str, Any]] = {}
    theirs = {} if other is None else dict(other.named_modules())
    for name, module in network.named_modules():
        mine = dict(_plain(module))
        if other is not None:
            same = type(theirs.get(name)) is type(module)
            built = dict(_plain(theirs[name])) if same else {}
            mine = {key: mine[key] for key in mine.keys() & built.keys() if repr(mine[key]) != repr(built[key])}
        if mine:
            found[name] = dict(sorted(mine.items()))
    return found


def set_settings(network: nn.Module, given: Mapping[str, Mapping[str, Any]]) -> None:
    """Give the modules the attributes that `settings` found.

    Raises:
        ValueError: for a module or an attribute that the network does not have, and for a value of another form.
    """
    modules = dict(network.named_modules())
    for name, attributes in given.items():
        known = dict(_plain(modules[name])) if name in modules else {}
        for key, value in attributes.items():
            value = tuple(value) if isinstance(value, list) and not isinstance(known.get(key), list) else value
            if key not in known or not _is_plain(value):
                raise ValueError(f"the module {name!r} of the network has no plain attribute {key!r} to set")
            modules[name].__dict__[key] = value


def _plain(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """The public attributes of a module that are numbers, texts or sequences of them."""
    cached = next((names for kind, names in CACHED.items() if isinstance(module, kind)), ())
    for key, value in vars(module).items():
        if not key.startswith("_") and key != "training" and key not in cached and _is_plain(value):
            yield key, value


def _is_plain(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)
