"""Whether two networks compute the same: module by module, every option that a module has.

What a target writes is read again by the source of the same repository. The network that it plans must have the
modules of ours, with equal options; the first that differs is the reason why the target cannot express ours.
"""

from collections.abc import Iterator
from typing import Any

from torch import nn

from wholeframe.blocks import NonLocal

UNSEEN = {"training", "init", "std", "backend", "keys", "remark", "restricted", "inplanes"}
"""options that change no output of a trained network: how it starts, and how it is computed"""


def difference(ours: nn.Module, theirs: nn.Module) -> str | None:
    """The first module that differs, as `name: ours here, theirs there`; None for equal networks."""
    others = dict(theirs.named_modules())
    for name, module in ours.named_modules():
        place = name or "the network"
        if name not in others:
            return f"{place} is a {type(module).__name__} here and is missing there"
        if type(module) is not type(others[name]):
            return f"{place} is a {type(module).__name__} here and a {type(others[name]).__name__} there"
        for option, one, other in _differing(module, others[name]):
            return f"{place} has {option}={one!r} here and {option}={other!r} there"
    names = {name for name, _ in ours.named_modules()}
    return next((f"{name} is missing here" for name in others if name not in names), None)


def _differing(one: nn.Module, other: nn.Module) -> Iterator[tuple[str, Any, Any]]:
    first, second = options_of(one), options_of(other)
    for option in first | second:
        if first.get(option) != second.get(option):
            yield option, first.get(option), second.get(option)


def options_of(module: nn.Module) -> dict[str, Any]:
    """The public attributes of a module that decide what it computes, those of a block in one spelling."""
    found = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(module).items()
        if not name.startswith("_") and name not in UNSEEN and not isinstance(value, nn.Module) and not callable(value)
    }
    return found | _spelled(module) if isinstance(module, NonLocal) else found


def _spelled(block: NonLocal) -> dict[str, Any]:
    """A pool as a window in time, height and width, and a scale as a number."""
    pool = (1, block.pool, block.pool) if isinstance(block.pool, int) else tuple(block.pool)
    pool = pool if len(pool) == 3 else (1, *pool)
    width = block.channels if block.kind == "gaussian" else block.inner
    scale = width**-0.5 if block.scale == "sqrt_dim" else block.scale
    order = None if max(pool) == 1 else block.pool_order
    groups = None if block.frame_groups == 1 else block.frame_groups
    return {"pool": pool, "pool_order": order, "scale": 1 if scale is None else scale, "frame_groups": groups}
