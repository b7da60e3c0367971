"""Where a block can be in a model: dotted names, the globs that choose among them, the mark a block leaves."""

import difflib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from wholeframe.surgery.probe import Visit

CHILD = "wholeframe"  # the block's name in its site, so part of state-dict keys


def run_block(site: Any, _args: Any, output: Tensor) -> Tensor:
    """The forward hook of every site. Pickles refer to it by this name."""
    return site.wholeframe(output)


def has_block(site: nn.Module) -> bool:
    """Whether `insert` attached a block to this very module."""
    return any(hook is run_block for hook in site._forward_hooks.values())


def in_block(key: str) -> bool:
    """Whether a parameter with this state-dict key belongs to an inserted block."""
    return CHILD in key.split(".")


def block_kind(site: nn.Module) -> str | None:
    """The class name of the block at this site, if it has one."""
    return type(site.get_submodule(CHILD)).__name__ if has_block(site) else None


def places_in(model: nn.Module) -> dict[str, nn.Module]:
    """Every module by its dotted name, a shared one by each of its names, without the insides of our blocks."""
    modules = dict(model.named_modules(remove_duplicate=False))
    ours = {f"{name}.{CHILD}".lstrip(".") for name, module in modules.items() if has_block(module)}
    inside = tuple(f"{name}." for name in ours)
    return {n: m for n, m in modules.items() if n and n not in ours and not n.startswith(inside)}


def once_each(places: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """A shared module under the first of its names only."""
    first = {}
    for name, module in places.items():
        first.setdefault(module, name)
    return {name: module for module, name in first.items()}


def match(at: str | Sequence[str], places: Mapping[str, nn.Module]) -> dict[str, set[str]]:
    """For each pattern the names it stands for (`*` stays within a component), plain Sequentials resolved."""
    patterns = [at] if isinstance(at, str) else at
    return {pattern: {last(name, places) for name in places if _fits(name, pattern)} for pattern in patterns}


def _fits(name: str, pattern: str) -> bool:
    parts, globs = name.split("."), pattern.split(".")
    return len(parts) == len(globs) and all(map(fnmatchcase, parts, globs))


def last(name: str, places: Mapping[str, nn.Module]) -> str:
    """The name itself, or of the last child of a Sequential: a child more in a Sequential would be a layer more."""
    while is_sequential(places[name]) and places[name]._modules:
        name = f"{name}.{list(places[name]._modules)[-1]}"
    return name


def is_sequential(module: nn.Module) -> bool:
    """Whether it runs its children one after the other, whatever they are: nn.Sequential's own forward."""
    return getattr(module.forward, "__func__", None) is nn.Sequential.forward


def fitting(places: Mapping[str, nn.Module], visits: Mapping[nn.Module, Visit]) -> list[str]:
    """The names where a block fits, going by the probe, and that stand for themselves."""
    return [name for name, module in places.items() if visits[module].fits and not is_sequential(module)]


def near_names(pattern: str, places: Mapping[str, nn.Module]) -> list[str]:
    """Up to four names that look like the pattern, for an error message."""
    return difflib.get_close_matches(pattern, places, n=4, cutoff=0.3)
