"""Put blocks into a network that is already built, and take them out again.

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

import torch
from torch import nn

from wholeframe.messages import quoted
from wholeframe.surgery.errors import (
    claims_identity,
    no_longer_runs,
    not_proved,
    refuse_compiled,
    refuse_runs,
    refuse_sites,
)
from wholeframe.surgery.probe import Example, Visit, as_call, deviation, outputs, probe, watch
from wholeframe.surgery.sites import (
    CHILD,
    block_kind,
    fitting,
    has_block,
    match,
    near_names,
    once_each,
    places_in,
    run_block,
)

HANDLE = "_wholeframe_handle"


@dataclass(frozen=True)
class Site:
    """A place where `insert` can attach a block; `block` is the class name of the one that is there already."""

    name: str
    kind: str
    channels: int
    grid: tuple[int, ...]
    calls: int
    block: str | None

    def __str__(self) -> str:
        line = f"{self.name} ({self.kind}): {self.channels} channels on {_grid(self.grid)}"
        return line if self.block is None else f"{line}, has {self.block}"


@dataclass(frozen=True)
class Row:
    """One inserted block. `parameter_names` are its parameters' keys in the model's state dict."""

    site: str
    block: str
    channels: int
    grid: tuple[int, ...]
    parameters: int
    parameter_names: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What `insert` did: a row per block, and how far the model's output on the example moved."""

    rows: tuple[Row, ...]
    unchanged: bool
    deviation: float

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The state-dict keys of all new parameters, for an optimiser group of their own."""
        return tuple(name for row in self.rows for name in row.parameter_names)

    def __str__(self) -> str:
        table = [("site", "block", "channels", "grid", "new parameters")]
        for row in self.rows:
            table.append((row.site, row.block, f"{row.channels}", _grid(row.grid), f"{row.parameters:,}"))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(map(str.ljust, cells, widths)).rstrip() for cells in table]
        return "\n".join([*lines, self._summary()])

    def _summary(self) -> str:
        blocks = "1 block" if len(self.rows) == 1 else f"{len(self.rows)} blocks"
        whose = "this block is" if len(self.rows) == 1 else "these blocks are"
        moved = f"no (max |difference| {self.deviation:.2g}; {whose} not an identity at initialisation)"
        if math.isnan(self.deviation):
            moved = "not known (these tensors have no values)"
        total = sum(row.parameters for row in self.rows)
        return f"{blocks}, {total:,} new parameters, output unchanged: {'yes' if self.unchanged else moved}"


def insert(
    model: nn.Module,
    block: Callable[[int], nn.Module],
    at: str | Sequence[str],
    example: Example = None,
) -> Report:
    """Attach a new block behind every module that `at` names, and prove what it does to the output.

    Each site keeps its name and its state-dict keys; its block is the child `<site>.wholeframe`, on the device and
    in the dtype of the site's weights and in the site's training mode. The model runs three times on `example` in
    eval mode, which leaves no trace in statistics, flags or random state (building the blocks draws from it as
    ever). Whatever raises, the model is then exactly as it was.

    block: called with a site's channels, gives its module: a class, a `functools.partial`, a function.
    at: one glob or several over dotted module names. `*` stays within a component: `layer4.*` are the children of
        `layer4`, not `layer4.0.conv1`. An `nn.Sequential` stands for its last child.
    example: None for one 224 x 224 image; a tensor; a tuple of positional or a dict of keyword arguments.

    The channels are axis 1 of a site's output. A channels-last map (b, h, w, c) looks like any other, so see the
    report. A block that says `identity_at_init = True` is held to it, on its own output and on the model's. Under
    `FakeTensorMode` there are shapes and no values: all but that is checked.

    ValueError if a pattern matches nothing; if a site has a block, runs never or more than once in a forward, or
    gives no floating (b, c, *grid); if a new block changes the shape, does not run exactly once, or is no identity
    though it says so. TypeError if `block` is no callable that gives modules.
    """
    refuse_compiled(model)
    if isinstance(block, nn.Module) or not callable(block):
        raise TypeError(
            f"block is a {type(block).__name__} and has to be a callable that builds a block for given channels, since "
            f"every site gets its own: the class itself, or `functools.partial({type(block).__name__}, ...)`"
        )
    places = places_in(model)
    chosen = _chosen_sites(at, places)
    seen, visits = probe(model, places.values(), example)
    refuse_sites(chosen, places, visits)

    call = as_call(model, example)
    before = outputs(model, call)
    blocks = {name: _build(block, name, site, visits[site]) for name, site in chosen.items()}
    with contextlib.ExitStack() as undo, watch(blocks.values()) as watched:
        for name, site in chosen.items():
            _attach(site, blocks[name])
            undo.callback(_detach, site)
        try:
            after = outputs(model, call)
        except Exception as error:
            raise ValueError(no_longer_runs(chosen, error)) from error
        refuse_runs(chosen, blocks, watched)
        gap = deviation(before, after)
        if all(map(claims_identity, blocks.values())) and gap > 0:
            raise ValueError(not_proved(gap, repeats=deviation(seen, before) == 0))
        undo.pop_all()
    rows = tuple(_row(name, blocks[name], visits[site]) for name, site in chosen.items())
    return Report(rows, unchanged=gap == 0, deviation=gap)


def remove(model: nn.Module, at: str | Sequence[str] | None = None) -> list[str]:
    """Take blocks out again, those at the sites that `at` matches or all, and give the names of their sites.

    The model is then what it was before `insert`: its keys, its hooks, its output. `at` is read as in `insert`, but
    only sites with a block count.

    ValueError if a pattern matches no site with a block; then no block is removed.
    """
    refuse_compiled(model)
    places = places_in(model)
    occupied = {name: site for name, site in places.items() if has_block(site)}
    if not occupied:
        raise ValueError("the model has no blocks to remove")
    if at is not None:
        matched = match(at, places)
        for pattern, names in matched.items():
            if not names & occupied.keys():
                raise ValueError(f"at={pattern!r} matches no block; there are blocks at {quoted(occupied)}")
        occupied = {name: site for name, site in occupied.items() if name in set().union(*matched.values())}
    chosen = once_each(occupied)
    for site in chosen.values():
        _detach(site)
    return list(chosen)


def sites(model: nn.Module, example: Example = None) -> list[Site]:
    """Every place where `insert` can attach a block, in the order of `named_modules`.

    These are the modules that run exactly once on `example` and give one floating tensor (b, c, *grid). An
    `nn.Sequential` is not quoted beside its last child, which stands for it. A site whose `block` is not None is taken.

    example: as in `insert`, and ValueError likewise if the model does not run on it.
    """
    refuse_compiled(model)
    places = once_each(places_in(model))
    _, visits = probe(model, places.values(), example)
    return [_site(name, places[name], visits[places[name]]) for name in fitting(places, visits)]


def sync_batchnorm(model: nn.Module) -> None:
    """Turn every batch norm, those of the site and those in the blocks, into torch's SyncBatchNorm, in place.

    torch's own `convert_sync_batchnorm` leaves the hook of a block behind where the block's site is a batch norm
    (`layer3.4.bn3`): the block's weights would be there, and never run. Here the hook moves along. Names in the state
    dict stay.

    ValueError if the model is compiled, or is itself a batch norm, in whose place nothing can be put.
    """
    refuse_compiled(model)
    if isinstance(model, nn.modules.batchnorm._BatchNorm):
        raise ValueError(f"the model is a {type(model).__name__} itself, and nothing can take its place")
    chosen = [name for name, module in model.named_modules() if has_block(module)]
    nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for name in chosen:
        site = model.get_submodule(name)
        if not has_block(site):
            _attach(site, site.get_submodule(CHILD))


def _attach(site: nn.Module, block: nn.Module) -> None:
    site.add_module(CHILD, block)
    # PyTorch numbers hooks per process. An unpickled site must carry its handle: loading that raises the counter, and
    # without it the next hook anybody registers on this site could take our hook's number and silently replace it.
    setattr(site, HANDLE, site.register_forward_hook(run_block))


def _detach(site: nn.Module) -> None:
    site.__dict__.pop(HANDLE).remove()
    delattr(site, CHILD)


def moved(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The module there and in this dtype. Not touched if it is so already: tensors without values cannot be moved."""
    tensors = [t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()]
    return module if all((t.device, t.dtype) == (device, dtype) for t in tensors) else module.to(device, dtype)


def _build(block: Callable[[int], nn.Module], name: str, site: nn.Module, visit: Visit) -> nn.Module:
    channels = visit.output[1]
    try:
        built = block(channels)
    except Exception as error:
        error.add_note(f"(while building the block for {name!r} with {channels} channels; the model is unchanged)")
        raise
    if not isinstance(built, nn.Module):
        raise TypeError(f"block({channels}) gives a {type(built).__name__}, and insert needs an nn.Module")
    weight = next((p for p in site.parameters() if p.is_floating_point()), visit)
    return moved(built, weight.device, weight.dtype).train(site.training)


def _chosen_sites(at: str | Sequence[str], places: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The modules that `at` names, each once and in the model's order. ValueError if a pattern names none."""
    matched = match(at, places)
    if not matched:
        raise ValueError("at=[] names no place; `wf.sites(model)` lists all that would do")
    for pattern, names in matched.items():
        if not names:
            near = near_names(pattern, places)
            hint = f"the nearest names are {quoted(near)}; " if near else ""
            raise ValueError(f"at={pattern!r} matches no module; {hint}`wf.sites(model)` lists all that would do")
    chosen = set().union(*matched.values())
    return once_each({name: module for name, module in places.items() if name in chosen})


def _row(name: str, block: nn.Module, visit: Visit) -> Row:
    parameters = dict(block.named_parameters(prefix=f"{name}.{CHILD}"))
    count = sum(parameter.numel() for parameter in parameters.values())
    shape = tuple(visit.output)
    return Row(name, type(block).__name__, shape[1], shape[2:], count, tuple(parameters))


def _site(name: str, site: nn.Module, visit: Visit) -> Site:
    shape = tuple(visit.output)
    return Site(name, type(site).__name__, shape[1], shape[2:], visit.calls, block_kind(site))


def _grid(grid: tuple[int, ...]) -> str:
    return " x ".join(map(str, grid))
