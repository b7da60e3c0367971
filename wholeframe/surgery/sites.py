"""Where a block can be attached: dotted names, the globs that choose among them, and the mark that a block leaves."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from wholeframe.surgery.placement import CHILD, block_kind, grid_text, has_block
from wholeframe.surgery.probe import Example, Visit, probe, refuse_model


@dataclass(frozen=True)
class Site:
    """A module that `insert` can attach a block to; `block` is the class name of a block that is already there."""

    name: str
    kind: str
    channels: int
    grid: tuple[int, ...]
    calls: int
    block: str | None

    def __str__(self) -> str:
        line = f"{self.name} ({self.kind}): {self.channels} channels on {grid_text(self.grid)}"
        return line if self.block is None else f"{line}, has {self.block}"


def sites(model: nn.Module, example: Example = None) -> list[Site]:
    """List every module that `insert` can attach a block to.

    These are the modules that run exactly once on `example` and return one floating-point tensor (b, c, *grid). An
    `nn.Sequential` is not listed: its last child represents it.

    Args:
        model: the whole network.
        example: input of one forward pass, as in `insert`.

    Returns:
        One `Site` per module, in the order of `named_modules`. A site whose `block` is not None already has a block.

    Raises:
        ValueError: if the model is compiled, or does not run on the example.
    """
    refuse_model(model)
    places = once_each(places_in(model))
    _, visits = probe(model, places.values(), example)
    return [_site(name, places[name], visits[places[name]]) for name in fitting(places, visits)]


def places_in(model: nn.Module) -> dict[str, nn.Module]:
    """Every module by its dotted name, a shared one by each of its names, without the insides of inserted blocks."""
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
    """For each glob the names that it matches (`*` stays within a component), with every `nn.Sequential` resolved."""
    patterns = list(at) if isinstance(at, Iterable) and not isinstance(at, str) else [at]
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(
            f"at={at!r} is not a glob over module names; write one such as at='layer4.*', or a list of them "
            "(`wf.sites(model)` lists the names)"
        )
    return {pattern: {last(name, places) for name in places if _fits(name, pattern)} for pattern in patterns}


def _fits(name: str, pattern: str) -> bool:
    parts, globs = name.split("."), pattern.split(".")
    return len(parts) == len(globs) and all(map(fnmatchcase, parts, globs))


def last(name: str, places: Mapping[str, nn.Module]) -> str:
    """Resolve an `nn.Sequential` to its last child: a child added to the Sequential itself would run as a new layer."""
    while is_sequential(places[name]) and places[name]._modules:
        name = f"{name}.{list(places[name]._modules)[-1]}"
    return name


def is_sequential(module: nn.Module) -> bool:
    """Whether the module has nn.Sequential's own forward, which runs all children one after the other."""
    return getattr(module.forward, "__func__", None) is nn.Sequential.forward


def fitting(places: Mapping[str, nn.Module], visits: Mapping[nn.Module, Visit]) -> list[str]:
    """The names of the modules that can have a block according to the probe, without `nn.Sequential`s."""
    return [name for name, module in places.items() if visits[module].fits and not is_sequential(module)]


def near_names(pattern: str, places: Mapping[str, nn.Module]) -> list[str]:
    """Up to four names that resemble the pattern, for an error message."""
    return difflib.get_close_matches(pattern, places, n=4, cutoff=0.3)


def _site(name: str, module: nn.Module, visit: Visit) -> Site:
    shape = tuple(visit.output)
    return Site(name, type(module).__name__, shape[1], shape[2:], visit.calls, block_kind(module))
