"""Whether every inserted block is still there, and runs.

Tools that fold, freeze or convert layers put another module in the place of a site. Its block is then a child that
nothing runs, or is gone, and the network computes something else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from wholeframe.surgery.baked import unbaked
from wholeframe.surgery.placement import CHILD, refuse_other
from wholeframe.surgery.probe import Call, Example, as_call, does_not_fit, outputs
from wholeframe.surgery.record import Placement, blocks_of, by_old_names, in_graph, located, placements, runs_block


@dataclass(frozen=True)
class Verified:
    """What `verify` found: every block is attached.

    `runs` has how often each block ran in one forward pass; None for a block whose operations are part of a graph.
    `uncounted` says why the runs were not counted; `runs` is then empty.
    """

    blocks: tuple[Placement, ...]
    runs: tuple[int | None, ...]
    uncounted: str | None = None

    def __str__(self) -> str:
        counts = self.runs or (None,) * len(self.blocks)
        said = ["" if count is None else f", ran {count} time{'s' * (count != 1)}" for count in counts]
        lines = [f"{block}{count}" for block, count in zip(self.blocks, said, strict=True)]
        end = "" if self.uncounted is None else f"; not known whether they run ({self.uncounted})"
        return "\n".join([*lines, f"all {len(lines)} inserted blocks are attached{end}"])


def verify(
    model: nn.Module, example: Example = None, *, blocks: str | Sequence[Placement | Mapping[str, Any]] | None = None
) -> Verified:
    """Check that all inserted blocks are still in the model, and that each runs in a forward pass.

    The model may be wrapped, compiled, or a graph that was made of it. It runs once in eval mode, without a trace in
    statistics, flags or random state, and eagerly where it is compiled.

    Args:
        model: the network with the blocks.
        example: input of one forward pass, as in `insert`. Without one, the runs are counted on the default image, and
            where the model does not take it, the result says so.
        blocks: what should be there: `wf.blocks_of(original)`, the data of these, or that as JSON text, for a network
            that was built again from `original` and has no record. None takes the model's own record.

    Returns:
        A `Verified`, with a line per block.

    Raises:
        ValueError: if there is no record of any block, if a block is lost or never runs, or if the model does not run
            on the given example. The message gives every such block and the likely cause.
    """
    refuse_other(model)
    network = model if blocks is None else _inside_wrappers(model)
    pairs = located(model) if blocks is None else [_at_its_name(network, block) for block in placements(blocks)]
    expected = tuple(placement for placement, _ in pairs)
    if not expected:
        raise ValueError(
            f"this {type(model).__name__} has no inserted blocks and no record of any; if it was rebuilt from a file, "
            "insert the blocks again or use `wf.restore`, and for a traced network give blocks=wf.blocks_of(original)"
        )
    _refuse(network, expected)
    found = [None if site is None else site.get_submodule(CHILD) for _, site in pairs]
    counts = {block: 0 for block in found if block is not None}
    call = as_call(model, example)
    try:
        _count(model, call, counts)
    except Exception as error:
        if not call.default:
            raise ValueError(does_not_fit(call, error)) from error
        return Verified(expected, (), does_not_fit(call, error))
    runs = tuple(None if block is None else counts[block] for block in found)
    idle = [placement for placement, count in zip(expected, runs, strict=True) if count == 0]
    if idle:
        listed = ", ".join(f"{placement.site!r} ({placement.block})" for placement in idle)
        raise ValueError(
            f"never run when the model runs on the example in eval mode: the blocks at {listed}; the network takes "
            "another path than when they were inserted, so insert them at modules that it runs"
        )
    return Verified(expected, runs)


def refuse_lost(model: nn.Module) -> None:
    """Raise ValueError if a block that was inserted is no longer attached. A model without a record passes."""
    _refuse(model, blocks_of(model))


def _refuse(model: nn.Module, expected: Sequence[Placement]) -> None:
    lost = [f"  {p.site!r} ({p.block}): {_reason(model, p.site)}" for p in expected if not p.attached]
    if lost:
        count = f"{len(lost)} of {len(expected)} inserted blocks {'is' if len(lost) == 1 else 'are'} lost:"
        end = "`wf.remove(model)` forgets lost blocks, if this is meant"
        raise ValueError("\n".join([count, *lost, end]))


def _reason(model: nn.Module, name: str) -> str:
    """Why the block does not run, with the likely tool."""
    site = by_old_names(model).get(name)
    if site is None:
        return "its site no longer exists; a tool has removed or renamed that part of the network"
    kind = type(site).__name__
    if CHILD in site._modules:
        cause = "; `wf.sync_batchnorm` converts and keeps blocks" if isinstance(site, nn.SyncBatchNorm) else ""
        return f"its site is now a {kind} that has the block as a child and does not run it{cause}"
    remedies = {
        "Identity": "a tool has folded the batch norm away: call `wf.bake` first",
        "SyncBatchNorm": "`wf.sync_batchnorm` converts and keeps blocks",
        "Frozen": "freeze first and insert afterwards, or call `wf.bake` first",
    }
    remedy = next(
        (text for part, text in remedies.items() if part in kind), "insert after the tool, or `wf.bake` first"
    )
    return f"its site is now a {kind} without it; {remedy}"


def _at_its_name(model: nn.Module, expected: Placement) -> tuple[Placement, nn.Module | None]:
    """The placement, and the module at its name that runs the block, possibly within a wrapper."""
    places = [m for name, m in model.named_modules() if name and unbaked(name) == unbaked(expected.site)]
    sites = [m for place in places for m in (place, *_wrapped(place)) if runs_block(m)]
    there = bool(sites) or in_graph(model, expected.site)
    return replace(expected, attached=there), sites[0] if sites else None


def _wrapped(module: nn.Module) -> list[nn.Module]:
    """The modules inside that have the place of one of this name, as the inner module of an adapter."""
    return [m for name, m in module.named_modules() if name in ("base_layer", "module", "_checkpoint_wrapped_module")]


def _count(model: nn.Module, call: Call, counts: dict[nn.Module, int]) -> None:
    def add(block: nn.Module, _args: Any, _output: Any) -> None:
        counts[block] += 1

    handles = [block.register_forward_hook(add) for block in counts]
    try:
        with torch.compiler.set_stance("force_eager"):
            outputs(model, call)
    finally:
        for handle in handles:
            handle.remove()


def _inside_wrappers(model: nn.Module) -> nn.Module:
    """The network itself, without wrappers such as DistributedDataParallel and torch.compile."""
    while list(model._modules) in (["module"], ["_orig_mod"]):
        model = next(iter(model.children()))
    return model
