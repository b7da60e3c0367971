"""Every tensor of a file to its place: used exactly once, or named with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from wholeframe.convert.plan import Plan
from wholeframe.convert.rename import fitted, prefix_of, quoted_or, renamed, theirs
from wholeframe.messages import counted, in_quotes, listed, shown

STEPS = "num_batches_tracked"
"""what a batch norm counts and no result depends on; files often lack it"""
ADVICE = "give the source and the options that the file was written with, or a file of the whole network"


@dataclass
class Matched:
    """The tensors by their names here, and what became of every name: see `converted.Report`."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    loaded: dict[str, str] = field(default_factory=dict)
    new: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


def match_tensors(plan: Plan, own: Mapping[str, Tensor], state: Mapping[str, Tensor], what: str) -> Matched:
    """Give each tensor of the file its place.

    Args:
        plan: of the file.
        own: the state dict of what the plan builds; its values are not read.
        state: the tensors of the file.
        what: the file, in the words of the message.

    Raises:
        ValueError: for tensors that are missing, unknown, of another shape or kind, or doubled with other values.
    """
    _refuse_unknown(plan, own, state, what)
    found, seen = Matched(), set[int]()
    for key, tensor in state.items():
        reason, name = _reason(key, plan), renamed(key, plan.names)
        if reason is not None:
            found.left[key] = reason
            continue
        assert name is not None
        changed = tensor if plan.change is None else plan.change(name, tensor)
        try:
            ours = fitted(key, _whole_steps(name, changed), name, own, "the network", ADVICE)
            _refuse_kind(key, ours, own[name])
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
        if name in found.tensors:
            if not torch.equal(ours, found.tensors[name]):
                raise ValueError(
                    f"{what} has {name!r} twice, as '{shown(found.loaded[name])}' and as '{shown(key)}', with other "
                    "values; remove one of the two"
                )
            found.left[key] = f"repeats '{shown(found.loaded[name])}'"
            continue
        found.tensors[name], found.loaded[name] = _alone(ours, seen), key
    _take_missing(plan, own, found, what)
    return found


def _refuse_unknown(plan: Plan, own: Mapping[str, Tensor], state: Mapping[str, Tensor], what: str) -> None:
    """Raise ValueError for tensors that the plan has no place for, or one that its network does not have."""
    kept = [key for key in state if prefix_of(key, plan.left) is None]
    if unknown := [key for key in kept if prefix_of(key, plan.names) is None]:
        raise ValueError(
            f"{what} has {counted(len(unknown), 'tensor')} with names that this source does not have: "
            f"{listed(in_quotes(unknown), most=3)}; {ADVICE}"
        )
    names = {key: name for key in kept if (name := renamed(key, plan.names)) is not None}
    if more := [key for key, name in names.items() if name not in own]:
        here = f" (the first is '{shown(names[more[0]])}' here)" if names[more[0]] != more[0] else ""
        raise ValueError(
            f"{what} has {counted(len(more), 'tensor')} that such a network does not have: "
            f"{listed(in_quotes(more), most=3)}{here}; {ADVICE}"
        )


def _whole_steps(name: str, tensor: Tensor) -> Tensor:
    """Steps of a batch norm that were saved as floating-point numbers, as integers; all else as it is."""
    steps = name.rpartition(".")[2] == STEPS and tensor.is_floating_point()
    return tensor.long() if steps and not tensor.is_meta and bool((tensor == tensor.round()).all()) else tensor


def _reason(key: str, plan: Plan) -> str | None:
    """Why a tensor of the file is not loaded, or None if it is."""
    if (prefix := prefix_of(key, plan.left)) is not None:
        return plan.left[prefix]
    return "has no meaning here" if renamed(key, plan.names) is None else None


def _refuse_kind(key: str, tensor: Tensor, own: Tensor) -> None:
    if tensor.is_floating_point() != own.is_floating_point():
        kind = "floating-point numbers" if own.is_floating_point() else "integers"
        raise ValueError(f"'{shown(key)}' is of {tensor.dtype}, and {kind} belong there; {ADVICE}")


def _alone(tensor: Tensor, seen: set[int]) -> Tensor:
    """The tensor itself if it has its memory to itself, else a copy, so that training one weight changes one."""
    storage = tensor.untyped_storage()
    shared = storage.data_ptr() in seen or storage.nbytes() > tensor.nbytes or not tensor.is_contiguous()
    seen.add(storage.data_ptr())
    return tensor.clone(memory_format=torch.contiguous_format) if shared else tensor


def _take_missing(plan: Plan, own: Mapping[str, Tensor], found: Matched, what: str) -> None:
    """Add what the file may lack: steps of batch norms, and tensors that the plan calls new."""
    missing = []
    for name in own:
        if name in found.tensors:
            continue
        if (prefix := prefix_of(name, plan.new)) is not None:
            found.new[name] = plan.new[prefix]
        elif name.rpartition(".")[2] == STEPS:
            found.tensors[name] = torch.zeros((), dtype=torch.long)
        else:
            missing.append(name)
    if missing:
        possible = dict.fromkeys(theirs(missing[0], plan.names))
        # A rest of names that stay as they are fits ours as well, which no file of others has.
        names = [name for name in possible if ".wholeframe." not in name]
        expected = f"{quoted_or(names)}, which is {missing[0]!r} here" if names else repr(missing[0])
        raise ValueError(
            f"{what} lacks {counted(len(missing), 'tensor')} of {len(own)} of such a network: {expected}"
            f"{', and ' + listed(map(repr, missing[1:]), most=2) if missing[1:] else ''}; {ADVICE}"
        )
