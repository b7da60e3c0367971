"""Put the blocks of a checkpoint into a fresh backbone, and load every weight.

y = block(site(x))   at the recorded sites, in the recorded layouts, with the arguments of the recorded constructors
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from wholeframe.blocks.recipe import build
from wholeframe.messages import counted, did_you_mean, listed, nearest, quoted
from wholeframe.surgery.baked import name_among, unbaked
from wholeframe.surgery.insert import as_its_site
from wholeframe.surgery.placement import CHILD, attach, detach, in_block
from wholeframe.surgery.probe import refuse_compiled_elsewhere, refuse_model
from wholeframe.surgery.record import METADATA, Placement, blocks_of, placements, remember
from wholeframe.surgery.state_files import State, read_content, state_dicts


def restore(
    model: nn.Module,
    checkpoint: str | os.PathLike[str] | State,
    *,
    blocks: str | Sequence[Placement | Mapping[str, Any]] | None = None,
    block: Callable[[int], nn.Module] | None = None,
    prefix: str | None = None,
) -> tuple[Placement, ...]:
    """Attach the blocks that a checkpoint was saved with, and load all of its weights.

    The names, shapes and number of the weights have to agree, where those of a baked network (`wf.bake`) count as those
    before. If anything raises, the model is exactly as before.

    Args:
        model: the backbone as it was before `insert`, changed in place.
        checkpoint: a file of `torch.save` or safetensors, or what it holds: a state dict, or a dict that has one, as
            Lightning writes.
        blocks: where the file has no record (safetensors, a state dict that was copied): the placements, as
            `wf.blocks_of(model)`, the data of them, or that as JSON text.
        block: builds the blocks of other packages from their channels; the data of a file runs no foreign code.
        prefix: of the model's keys in the checkpoint, such as `"model."`; other keys are then left out. None finds
            a prefix that all keys have.

    Returns:
        The restored blocks.

    Raises:
        ValueError: for a checkpoint without a record, a site that the model does not have or that has a block, a block
            of another package without `block`, and keys that are missing, unexpected or of another shape.
    """
    refuse_model(model)
    refuse_compiled_elsewhere(model)
    state, metadata = _state_of(checkpoint)
    prefix = _prefix(model, state, prefix)
    modules = dict(model.named_modules())
    recorded = [
        replace(placement, site=name_among(modules, placement.site))
        for placement in _placements(state, metadata, prefix, blocks)
    ]
    sites = {placement.site: _site(modules, placement.site) for placement in recorded}
    built = {placement.site: _block(placement, block) for placement in recorded}
    with contextlib.ExitStack() as undo:
        for placement in recorded:
            site = sites[placement.site]
            new = as_its_site(built[placement.site], site, next(model.parameters()))
            attach(site, new, placement.layout, placement.output)
            undo.callback(detach, site)
        own = model.state_dict()
        weights = {
            name_among(own, key.removeprefix(prefix)): value for key, value in state.items() if key.startswith(prefix)
        }
        _refuse_keys(own, weights)
        model.load_state_dict(weights)
        undo.pop_all()
    remember(model, {placement.site: placement.channels for placement in recorded})
    return blocks_of(model)


def _state_of(checkpoint: str | os.PathLike[str] | State) -> tuple[State, Mapping[str, Any]]:
    """The state dict, and the metadata of its modules."""
    content, source = checkpoint, "checkpoint"
    if not isinstance(checkpoint, Mapping):
        if not isinstance(checkpoint, str | os.PathLike):
            raise ValueError(
                f"checkpoint is a {type(checkpoint).__name__}; give a file, a state dict, or a dict that has one"
            )
        path = Path(checkpoint)
        source = f"'{path}'"
        content = read_content(path)
    if not isinstance(content, Mapping):
        raise ValueError(
            f"{source} holds a {type(content).__name__}, and restore takes a state dict or a dict with one"
        )
    inner = state_dicts(content)
    if len(inner) != 1:
        found = f"these state dicts: {quoted(inner)}; give one of them" if inner else "none has a state dict"
        keys = f"the keys {listed(map(repr, content))}, and {found}" if content else "no keys"
        raise ValueError(f"{source} has {keys}")
    state = next(iter(inner.values()))
    return state, getattr(state, "_metadata", None) or {}


def _prefix(model: nn.Module, state: State, given: str | None) -> str:
    """What precedes the model's own keys in the checkpoint."""
    own = list(map(unbaked, model.state_dict()))
    if given is not None:
        if not any(key.startswith(given) for key in state):
            raise ValueError(f"prefix={given!r} begins no key of the checkpoint, whose keys are {listed(state)}")
        return given
    keys = {unbaked(key) for key in state}
    found = {key.removesuffix(own[0]) for key in keys if f".{key}".endswith(f".{own[0]}")} if own else {""}
    scores = {prefix: sum(f"{prefix}{key}" in keys for key in own) for prefix in found}
    best = max(scores, key=scores.__getitem__, default="")
    apart = [key for key in state if not key.startswith(best)]
    if apart:
        raise ValueError(
            f"the model's keys begin with {best!r} in the checkpoint, which has {counted(len(apart), 'key')} more "
            f"({listed(apart)}); give prefix={best!r} to leave these out"
        )
    return best


def _placements(
    state: State, metadata: Mapping[str, Any], prefix: str, blocks: str | Sequence[Any] | None
) -> list[Placement]:
    if blocks is not None:
        found = placements(blocks)
    else:
        records = {name: entry[METADATA] for name, entry in metadata.items() if METADATA in entry}
        inside = {name: text for name, text in records.items() if f"{name}.".startswith(prefix)}
        found = [
            Placement.from_data({**json.loads(text), "site": name.removeprefix(prefix)})
            for name, text in inside.items()
        ]
    if found:
        return found
    weights = [key for key in state if in_block(key)]
    if weights:
        raise ValueError(
            f"the checkpoint has the weights of blocks ({listed(weights, most=2)}) and no record of how they were "
            "built; give blocks=wf.blocks_of(model) of the model that it was saved from, or that as data"
        )
    raise ValueError("the checkpoint has no record of blocks and no weights of any; load it with `load_state_dict`")


def _site(modules: Mapping[str, nn.Module], name: str) -> nn.Module:
    if name not in modules:
        raise ValueError(f"the model has no module {name!r} for the block that was there; {nearest(name, modules)}")
    if CHILD in modules[name]._modules:
        raise ValueError(
            f"{name!r} already has a block; `wf.remove(model)` first, or load into these blocks with `load_state_dict`"
        )
    return modules[name]


def _block(placement: Placement, block: Callable[[int], nn.Module] | None) -> nn.Module:
    if placement.recipe is not None:
        return build(placement.recipe)
    if block is None:
        raise ValueError(
            f"the {placement.block} at {placement.site!r} is not described by data of wholeframe; give the callable "
            "that builds it from its channels, as block="
        )
    return block(placement.channels)


def _refuse_keys(own: State, weights: State) -> None:
    """ValueError with the first missing, unexpected and mis-shaped keys, and the likely cause."""
    missing = [key for key in own if key not in weights]
    unexpected = [key for key in weights if key not in own]
    shapes = [
        f"{key} is {tuple(weights[key].shape)} there and {tuple(value.shape)} here"
        for key, value in own.items()
        if isinstance(weights.get(key), Tensor) and weights[key].shape != value.shape
    ]
    reasons = [
        *([f"{counted(len(missing), 'key')} missing there: {_near(missing, unexpected)}"] if missing else []),
        *([f"{counted(len(unexpected), 'key')} unknown here: {_near(unexpected, own)}"] if unexpected else []),
        *(
            [f"{counted(len(shapes), 'shape')} differ{'s' * (len(shapes) == 1)}: {listed(shapes, most=2)}"]
            if shapes
            else []
        ),
    ]
    if reasons:
        cause = _cause(missing, unexpected, own, weights)
        raise ValueError(f"the checkpoint is not of this network with these blocks: {'; '.join(reasons)}{cause}")


def _cause(missing: Sequence[str], unexpected: Sequence[str], own: State, weights: State) -> str:
    """What was done to one of the two networks after its blocks were inserted, as the end of a sentence."""
    changed = {key.split(f".{CHILD}.")[0] for key in (*missing, *unexpected) if in_block(key)}
    if changed:
        return (
            f"; the layers of the block at {quoted(sorted(changed)[:1])} were changed after it was built (by an "
            "adapter, a parametrisation, a pruning mask, or another norm): undo that before you save, or load the "
            "whole network with `torch.load(path, weights_only=False)`"
        )
    frozen, here = _without_statistics(missing, weights), _without_statistics(unexpected, own)
    if frozen:
        return (
            f"; the batch norms of the checkpoint are frozen ({listed(frozen, most=2)}): `wf.freeze_norms(model)` "
            "first, then restore"
        )
    if here:
        return (
            f"; the batch norms of this model are frozen ({listed(here, most=2)}), and those of the checkpoint are "
            "not: restore into a model before `wf.freeze_norms`"
        )
    return ""


def _without_statistics(keys: Sequence[str], other: State) -> list[str]:
    """The norms whose running statistics are among the keys, and of which the other side has the weight alone."""
    norms = [key.removesuffix(".running_mean") for key in keys if key.endswith(".running_mean")]
    return [norm for norm in norms if f"{norm}.weight" in other]


def _near(keys: Sequence[str], others: Iterable[str]) -> str:
    return f"{listed(keys, most=3)}{did_you_mean(keys[0], others)}"
