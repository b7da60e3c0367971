"""Insert blocks into a network that is already built, and remove them again.

A block becomes a child of its site module, called `wholeframe`, and one forward hook passes the site's output through
it. Nothing in the site is replaced or renamed: every old state-dict key stays, so weights load before or after.

One mechanism covers every published placement: *after the residual sum* is `layer3.4`, *before the sum* is
`layer3.4.bn3`, *before block 5* is after block 4, `layer3` in torchvision.

Replace modules (quantisation) before you insert, and compile after: a module that takes a site's place has no hook, and
code that is already compiled does not look for one. `sync_batchnorm` is the one replacement that keeps the hooks.
"""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from wholeframe.messages import quoted
from wholeframe.surgery.baked import baked_names, old_name, unbake
from wholeframe.surgery.children import tell_compiler
from wholeframe.surgery.errors import (
    declares_identity,
    no_longer_runs,
    not_proved,
    refuse_block,
    refuse_runs,
    refuse_sites,
)
from wholeframe.surgery.maps import Choice, Map, maps_of
from wholeframe.surgery.placement import CHILD, Layout, attach, detach, grid_text
from wholeframe.surgery.probe import (
    Example,
    Watched,
    as_call,
    cannot_show_a_change,
    deviation,
    outputs,
    refuse_compiled_elsewhere,
    refuse_model,
    watch,
)
from wholeframe.surgery.reach import without_influence
from wholeframe.surgery.record import by_old_names, forget, lost_sites, remember, runs_block
from wholeframe.surgery.sites import match, near_names, once_each, places_in

IDLE = "the model's output does not depend on this block, so it does not train"


@dataclass(frozen=True)
class Row:
    """One inserted block.

    `parameter_names` are its parameters' keys in the model's state dict. `remark` says what is unusual, such as
    a block that the model's output does not depend on.
    """

    site: str
    block: str
    channels: int
    grid: tuple[int, ...]
    layout: Layout
    output: int | str | None
    parameters: int
    parameter_names: tuple[str, ...]
    remark: str | None = None


@dataclass(frozen=True)
class Report:
    """What `insert` did: a row per block, and how far the model's output on the example moved.

    `unchanged` is True only where equal outputs prove it. Where they prove nothing, `deviation` is NaN and `unproved`
    says why: an example full of NaN, an empty batch, tensors without values.
    """

    rows: tuple[Row, ...]
    unchanged: bool
    deviation: float
    unproved: str | None = None

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The state-dict keys of all new parameters, for an optimiser group of their own."""
        return tuple(name for row in self.rows for name in row.parameter_names)

    def __str__(self) -> str:
        table = [("site", "block", "channels", "grid", "layout", "new parameters")]
        for row in self.rows:
            place = row.site if row.output is None else f"{row.site}, output={row.output!r}"
            sizes = f"{row.channels}", grid_text(row.grid), str(row.layout)
            table.append((place, row.block, *sizes, f"{row.parameters:,}"))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(map(str.ljust, cells, widths)).rstrip() for cells in table]
        remarks = [f"{row.site}: {row.remark}" for row in self.rows if row.remark]
        return "\n".join([*lines, *remarks, self._summary()])

    def _summary(self) -> str:
        blocks = "1 block" if len(self.rows) == 1 else f"{len(self.rows)} blocks"
        whose = "this block is" if len(self.rows) == 1 else "these blocks are"
        proof = f"no (max |difference| {self.deviation:.2g}; {whose} not an identity at initialisation)"
        if self.unproved is not None:
            proof = f"not known ({self.unproved})"
        elif self.unchanged:
            proof = "yes"
        total = sum(row.parameters for row in self.rows)
        return f"{blocks}, {total:,} new parameters, output unchanged: {proof}"


def insert(
    model: nn.Module,
    block: Callable[[int], nn.Module],
    at: str | Sequence[str],
    example: Example = None,
    *,
    layout: Layout | Literal["auto", "channels_first", "channels_last", "tokens"] = "auto",
    output: int | str | None = None,
) -> Report:
    """Attach a new block to every module that `at` matches, and measure its effect on the output.

        y = block(site(x))

    Each site keeps its name and its state-dict keys; its block is the child `<site>.wholeframe`, on the device and
    in the dtype of the site's weights and in the site's training mode. The model runs a few times on `example` in
    eval mode, without a trace in statistics, flags or random state (building the blocks draws random numbers as
    usual). If anything raises, the model is exactly as before.

    A block that declares `identity_at_init = True` is checked, on its own output and on the model's; under
    `FakeTensorMode`, where tensors have no values, everything else is checked.

    Args:
        model: the whole network, changed in place.
        block: a callable that takes a site's channels and returns its block: a class, a `functools.partial`, a
            function.
        at: one glob or several over dotted module names. `*` stays within a component: `layer4.*` are the children
            of `layer4`, not `layer4.0.conv1`. An `nn.Sequential` represents its last child.
        example: None for one 224 x 224 image, or for one of 64 x 64 in a list, which is not scaled, if the model is a
            detector of torchvision; a tensor; a tuple of positional or a dict of keyword arguments.
        layout: of the sites' maps: `"channels_first"` for (b, c, *grid), `"channels_last"` for (b, *grid, c),
            `"tokens"` for (b, tokens, c), or a `wf.Layout`. `"auto"` finds it for each site from the layers that make
            and take maps of this shape, from a pass over larger images where layers do not decide, and for tokens
            from the grids of the model's convolutions or the shape of the image. Extra tokens in front of those of
            the grid (class, distillation, register) pass the block by.
        output: the index or key of the map, for sites that return a tuple, a list or a dict; None takes the output
            itself, or its only map.

    Returns:
        A `Report`: a row per block, and whether the output stayed the same.

    Raises:
        ValueError: if a glob matches nothing; if a site has a block, runs never or more than once in a forward, or
            does not return a floating-point map; if evidence for its layout is missing or contradicts itself; if a
            new block changes the shape, does not run exactly once, or declares an identity and is not one.
        TypeError: if `block` is not a callable that returns modules, or `at` has anything but strings.
    """
    refuse_model(model)
    refuse_compiled_elsewhere(model)
    refuse_block(block)
    choice = Choice(layout, output)
    places = places_in(model)
    chosen = _chosen_sites(at, places)
    call = as_call(model, example)
    seen, maps = maps_of(model, places.values(), call, choice, chosen.values())
    refuse_sites(model, call, chosen, places, maps)

    before = outputs(model, call)
    blocks = {name: _build(block, name, site, maps[site]) for name, site in chosen.items()}
    with contextlib.ExitStack() as undo, watch(blocks.values()) as watched:
        for name, site in chosen.items():
            found = maps[site]
            attach(site, blocks[name], found.layout or Layout(), found.key)
            undo.callback(detach, site)
        try:
            after = outputs(model, call)
        except Exception as error:
            raise ValueError(no_longer_runs(chosen, error)) from error
        refuse_runs(chosen, blocks, watched)
        gap = deviation(before, after)
        if all(map(declares_identity, blocks.values())) and gap > 0:
            raise ValueError(not_proved(gap, repeats=deviation(seen, before) == 0))
        undo.pop_all()
    unproved = None if gap > 0 else _unproved(before, blocks, watched)
    idle = without_influence(model, call, blocks, after) if unproved is None else []
    rows = tuple(_row(name, blocks[name], maps[site], name in idle) for name, site in chosen.items())
    remember(model, {row.site: row.channels for row in rows})
    return Report(rows, gap == 0 and unproved is None, gap if unproved is None else math.nan, unproved)


def remove(model: nn.Module, at: str | Sequence[str] | None = None) -> list[str]:
    """Remove blocks: those at the sites that `at` matches, or all. Lost blocks (`wf.verify`) are forgotten.

    The model is then as before `insert`: its keys, its hooks, its output. A baked site gets its place and its old names
    back.

    Args:
        model: the whole network, changed in place.
        at: globs as in `insert`, over the sites that have a block; None for all of them. In a baked network the sites
            also have their names before `bake`.

    Returns:
        The names of the sites that lost their block.

    Raises:
        ValueError: if there is no block, or a glob matches no site with a block; then no block is removed.
        TypeError: if `at` has anything but strings.
    """
    refuse_model(model)
    refuse_compiled_elsewhere(model)
    lost, named = lost_sites(model), by_old_names(model)
    occupied = {name: site for name, site in named.items() if runs_block(site)} | lost
    if not occupied:
        raise ValueError("the model has no blocks to remove")
    if at is not None:
        places, baked = places_in(model) | named | lost, baked_names(model)
        matched = {glob: {old_name(name, baked) for name in names} for glob, names in match(at, places).items()}
        for glob, names in matched.items():
            if names.isdisjoint(occupied):
                raise ValueError(f"at={glob!r} matches no block; there are blocks at {quoted(occupied)}")
        occupied = {name: site for name, site in occupied.items() if name in set().union(*matched.values())}
    chosen = once_each(occupied)
    forget(model, chosen)
    unbake(model, chosen.values())
    for site in chosen.values():
        detach(site)
    tell_compiler(model)
    return list(chosen)


def moved(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The module on this device and in this dtype; untouched if it is already: tensors without values cannot move."""
    tensors = [t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()]
    return module if all((t.device, t.dtype) == (device, dtype) for t in tensors) else module.to(device, dtype)


def as_its_site(block: nn.Module, site: nn.Module, other: Map | nn.Parameter) -> nn.Module:
    """The block in the mode, dtype and device of its site; in those of `other` where the site has no weights."""
    weight = next((p for p in site.parameters() if p.is_floating_point()), other)
    return moved(block, weight.device, weight.dtype).train(site.training)


def _build(block: Callable[[int], nn.Module], name: str, site: nn.Module, found: Map) -> nn.Module:
    channels = found.channels
    try:
        built = block(channels)
    except Exception as error:
        error.add_note(f"(while building the block for {name!r} with {channels} channels; the model is unchanged)")
        raise
    if not isinstance(built, nn.Module):
        returned = f"the class {built.__name__}" if isinstance(built, type) else f"a {type(built).__name__}"
        raise TypeError(f"block({channels}) returns {returned}, and insert needs an nn.Module; the model is unchanged")
    return as_its_site(built, site, found)


def _chosen_sites(at: str | Sequence[str], places: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The modules that `at` matches, each once and in the model's order. ValueError if a glob matches none."""
    matched = match(at, places)
    if not matched:
        raise ValueError("at=[] matches no module; `wf.sites(model)` lists all that would do")
    for pattern, names in matched.items():
        if not names:
            near = near_names(pattern, places)
            hint = f"the nearest names are {quoted(near)}; " if near else ""
            hint = hint if pattern else "the model itself has no parent to hold a block; "
            raise ValueError(f"at={pattern!r} matches no module; {hint}`wf.sites(model)` lists all that would do")
    names = set().union(*matched.values())
    return once_each({name: module for name, module in places.items() if name in names})


def _unproved(
    before: list[torch.Tensor], blocks: Mapping[str, nn.Module], watched: Mapping[nn.Module, Watched]
) -> str | None:
    """Why equal outputs do not prove that the blocks left them alone; None if they do."""
    if reason := cannot_show_a_change(before):
        return f"the model's output on the example {reason}"
    blind = {name: watched[block].blind for name, block in blocks.items()}
    return next((f"the input of the block at {name!r} {reason}" for name, reason in blind.items() if reason), None)


def _row(name: str, block: nn.Module, found: Map, idle: bool) -> Row:
    parameters = dict(block.named_parameters(prefix=f"{name}.{CHILD}"))
    count = sum(parameter.numel() for parameter in parameters.values())
    kind, names = type(block).__name__, tuple(parameters)
    assert found.layout is not None  # it fits
    remarks = [getattr(block, "remark", None), IDLE if idle else None]
    remark = "; ".join(remark for remark in remarks if remark) or None
    return Row(name, kind, found.channels, found.grid, found.layout, found.key, count, names, remark)
