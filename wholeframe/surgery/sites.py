"""Where a block can be attached: dotted names, the globs that choose among them, and the mark that a block leaves."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from wholeframe.surgery.maps import Choice, Map, containers, fitting, is_sequential, maps_of
from wholeframe.surgery.placement import CHILD, Layout, grid_text
from wholeframe.surgery.probe import Example, as_call, refuse_model
from wholeframe.surgery.record import block_kind, runs_block


@dataclass(frozen=True)
class Site:
    """A module that `insert` can attach a block to; `block` is the class name of a block that is already there."""

    name: str
    kind: str
    channels: int
    grid: tuple[int, ...]
    layout: Layout
    output: int | str | None
    block: str | None

    def __str__(self) -> str:
        line = f"{self.name} ({self.kind}): {map_text(self.channels, self.grid, self.layout, self.output)}"
        return line if self.block is None else f"{line}, has {self.block}"


def sites(model: nn.Module, example: Example = None) -> list[Site]:
    """List every module that `insert` can attach a block to.

    These are the modules that run exactly once on `example` and return one floating-point map in a layout that the
    evidence decides: see `insert`. An `nn.Sequential` is not listed, because its last child represents it; nor is a
    module that runs whatever children it has.

    Args:
        model: the whole network.
        example: input of one forward pass, as in `insert`.

    Returns:
        One `Site` per module, in the order of `named_modules`, with its channels, grid and layout, and its place in
        the module's output (None where the output is the map). A site whose `block` is not None already has a block.

    Raises:
        ValueError: if the model is compiled, or does not run on the example.
    """
    refuse_model(model)
    places = once_each(places_in(model))
    call = as_call(model, example)
    _, maps = maps_of(model, places.values(), call, Choice(), places.values())
    names = fitting(places, maps)
    running = containers(model, [places[name] for name in names], call)
    return [_site(name, places[name], maps[places[name]]) for name in names if places[name] not in running]


def places_in(model: nn.Module) -> dict[str, nn.Module]:
    """Every module by its dotted name, a shared one by each of its names, without the insides of inserted blocks."""
    modules = dict(model.named_modules(remove_duplicate=False))
    ours = {f"{name}.{CHILD}".lstrip(".") for name, module in modules.items() if runs_block(module)}
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
    patterns = list(at) if isinstance(at, Iterable) and not isinstance(at, str | Mapping) else [at]
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


def near_names(pattern: str, places: Mapping[str, nn.Module]) -> list[str]:
    """Up to four names that resemble the pattern, for an error message."""
    return difflib.get_close_matches(pattern, places, n=4, cutoff=0.3)


def map_text(channels: int, grid: tuple[int, ...], layout: Layout, output: int | str | None) -> str:
    """`768 channels on 14 x 14, channels last`."""
    parts = [f"{channels} channels on {grid_text(grid)}"]
    if layout.axes != "channels_first":
        parts.append(str(layout))
    if output is not None:
        parts.append(f"output={output!r}")
    return ", ".join(parts)


def _site(name: str, module: nn.Module, found: Map) -> Site:
    assert found.layout is not None  # it fits
    kind = type(module).__name__
    return Site(name, kind, found.channels, found.grid, found.layout, found.key, block_kind(module))
