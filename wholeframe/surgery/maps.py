"""The maps of a network: what every module returns to a block, and in which layout."""

import contextlib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from wholeframe.messages import one_of
from wholeframe.surgery.evidence import Evidence, Key, Visit
from wholeframe.surgery.layouts import Image, read
from wholeframe.surgery.order import out_of_order
from wholeframe.surgery.placement import CHILD, Axes, Layout, grid_text
from wholeframe.surgery.probe import Call, does_not_fit, image_of, outputs, probe, probe_resized


class Map(NamedTuple):
    """One module's map. Where `trouble` is not None, it ends a sentence that begins with the module's name."""

    calls: int
    layout: Layout | None
    key: Key
    channels: int
    grid: tuple[int, ...]
    device: torch.device
    dtype: torch.dtype
    trouble: str | None

    @property
    def fits(self) -> bool:
        """Whether a block can take this map."""
        return self.calls == 1 and self.trouble is None


@dataclass(frozen=True)
class Choice:
    """What the caller chooses: the layout of maps, and their place in a tuple, list or dict."""

    layout: Layout | Literal["auto"] | Axes = "auto"
    output: Key = None

    def __post_init__(self) -> None:
        if not isinstance(self.layout, Layout):
            one_of("layout", self.layout, ("auto", *get_args(Axes)))


def maps_of(
    model: nn.Module, modules: Collection[nn.Module], call: Call, choice: Choice, chosen: Iterable[nn.Module]
) -> tuple[list[Tensor], dict[nn.Module, Map]]:
    """Run the model; return its outputs and the map of every module.

    The model runs again with larger images only where the layers around a chosen module do not decide its layout, and
    with a changed image only for tokens of a grid.

    Raises:
        ValueError: if the model does not run on the example.
    """
    image = image_of(call)
    try:
        given, seen = probe(model, modules, call, choice.output)
    except Exception as error:
        raise ValueError(does_not_fit(call, error)) from error
    maps = {module: _map(choice, seen.visits[module], image, seen) for module in modules}
    if choice.layout == "auto" and any(_unread(seen.visits[module], maps[module]) for module in chosen):
        larger = probe_resized(model, modules, call, choice.output)
        if larger is not None:
            maps = {m: _map(choice, seen.visits[m], image, seen, larger.visits[m]) for m in modules}
    if not isinstance(choice.layout, Layout):  # a grid that the caller gives is not in question
        maps.update(_in_any_order(model, call, {m: maps[m] for m in chosen if maps[m].fits}))
    return given, maps


def _in_any_order(model: nn.Module, call: Call, maps: Mapping[nn.Module, Map]) -> dict[nn.Module, Map]:
    """The maps whose tokens are not the rows of their grid, with a grid that says only how many there are.

    Where some of them are to stay apart, nothing then says which: object queries of a detector have neither.
    """
    layouts = {m: (found.layout, found.key) for m, found in maps.items() if found.layout is not None}
    changed = {}
    for m in out_of_order(model, call, layouts):
        layout, count = layouts[m][0], math.prod(maps[m].grid)
        if layout.extra:
            changed[m] = maps[m]._replace(layout=None, trouble=_not_a_grid(layout, count))
            continue
        flat = (count,)
        changed[m] = maps[m]._replace(layout=replace(layout, grid=flat), grid=flat)
    return changed


def _not_a_grid(layout: Layout, count: int) -> str:
    """Why tokens cannot be read, as the end of a sentence that begins with the module."""
    assert layout.grid is not None
    total = count + layout.extra
    return (
        f"returns {total} tokens, and when a part of the image changes, other tokens change than those of a grid of "
        f"{grid_text(layout.grid)} after {layout.extra} more; give layout=wf.Layout('tokens', grid=({total},)) to take "
        "all of them without a grid, or the true grid=(h, w) and extra=k"
    )


def _unread(visit: Visit, found: Map) -> bool:
    """Whether only the layout of this map is in question."""
    return visit.calls == 1 and visit.trouble is None and found.trouble is not None


def _map(choice: Choice, visit: Visit, image: Image, seen: Evidence, larger: Visit | None = None) -> Map:
    calls, shape, key, device, dtype, trouble = visit
    if trouble is not None:
        return Map(calls, None, key, 0, (), device, dtype, trouble)
    layout, trouble = read(choice.layout, visit, image, seen, larger)
    if layout is None:
        return Map(calls, None, key, 0, (), device, dtype, trouble)
    channels, grid = layout.sizes(shape)
    return Map(calls, layout, key, channels, grid, device, dtype, None)


def containers(model: nn.Module, modules: Iterable[nn.Module], call: Call) -> set[nn.Module]:
    """The modules that run whatever children they have, and so would run a block as one more layer."""
    trials = {module: _Trial() for module in modules if not hasattr(module, CHILD)}
    found: set[nn.Module] = set()
    while trials:
        for module, trial in trials.items():
            module.add_module(CHILD, trial)
        try:
            with contextlib.suppress(Exception):  # a trial among the layers may break the model, and then it has run
                outputs(model, call)
        finally:
            for module in trials:
                delattr(module, CHILD)
        ran = {module for module, trial in trials.items() if trial.ran}
        if not ran:
            break
        found |= ran
        trials = {module: trial for module, trial in trials.items() if module not in ran}
    return found


class _Trial(nn.Module):
    """A child that does nothing and keeps its runs; in a list, because a probe restores attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[bool] = []

    def forward(self, *args: Any, **_options: Any) -> Any:
        self.ran.append(True)
        return args[0] if args else None


def fitting(places: Mapping[str, nn.Module], maps: Mapping[nn.Module, Map]) -> list[str]:
    """The names of the modules that can have a block according to the probe, without `nn.Sequential`s."""
    return [name for name, module in places.items() if maps[module].fits and not is_sequential(module)]


def is_sequential(module: nn.Module) -> bool:
    """Whether the module has nn.Sequential's own forward, which runs all children one after the other."""
    return getattr(module.forward, "__func__", None) is nn.Sequential.forward
