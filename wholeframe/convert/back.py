"""The way back: a network of this package in the names of another repository, if it can express the network exactly.

written = wf.convert.to(network, "slowfast")
written.save("I3D_NLN.pyth")
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wholeframe.convert.matched import match_tensors
from wholeframe.convert.parts import Parts
from wholeframe.convert.targets import openmmlab, slowfast, timm
from wholeframe.convert.targets.draft import Draft
from wholeframe.convert.targets.proof import difference
from wholeframe.messages import counted, one_of

TARGETS: dict[str, Callable[[nn.Module], Draft]] = {
    "mmcv": openmmlab.draft,
    "slowfast": slowfast.draft,
    "timm": timm.draft,
}


@dataclass(frozen=True)
class Written:
    """A network in the names of another repository.

    Args:
        target: a key of `TARGETS`.
        repository: of the target.
        state: its tensors by their names there.
        content: what the file holds: the tensors, alone or under the entry that the repository reads them from.
        conventions: what the tensors do not show, and its program has to be told.
    """

    target: str
    repository: str
    state: Mapping[str, Tensor]
    content: Mapping[str, Any]
    conventions: Mapping[str, str]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file with `torch.save`: tensors and plain data, which `weights_only=True` reads."""
        torch.save(dict(self.content), path)
        return Path(path)

    def __str__(self) -> str:
        told = [f"{what}: {value}" for what, value in self.conventions.items()]
        return "\n".join([f"target: {self.target} ({self.repository}), {counted(len(self.state), 'tensor')}", *told])


def to(network: nn.Module, target: str) -> Written:
    """Write a network in the names of another repository.

    What is written is read again by `checkpoint`'s source of this repository, and the network that it plans is compared
    with the given one: every module, every option, every bit of every tensor.

    Args:
        network: with the blocks that `wf.insert` put into it; unchanged.
        target: a key of `wholeframe.convert.back.TARGETS`.

    Returns:
        A `Written`; `written.save(path)` writes the file.

    Raises:
        ValueError: for an unknown target, and for a network that the target cannot express, with the reason: another
            order of pool and projection, scale, epsilon, norm, groups of frames, place or shape.
    """
    one_of("target", target, tuple(TARGETS))
    if not isinstance(network, nn.Module):
        raise ValueError(
            f"network is a {type(network).__name__}; give a network that is built, or wf.load a file of it"
        )
    draft = TARGETS[target](network)
    conventions = _prove(network, draft, target)
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in draft.state.items()}
    content = replace(draft, state=state).content()
    return Written(target, draft.source.repository, state, content, conventions)


def _prove(network: nn.Module, draft: Draft, target: str) -> Mapping[str, str]:
    """What the target has to be told; ValueError for a network that it cannot express."""
    shapes = {key: tensor.shape for key, tensor in draft.state.items()}
    what = f"this network in the names of {target!r}"
    try:
        with torch.device("meta"):
            plan = draft.source.plan(shapes, **draft.options)
            parts = Parts.of(plan)
        matched = match_tensors(plan, parts.state(), draft.state, what)
    except ValueError as error:
        raise ValueError(f"{target!r} cannot express this network: {error}") from error
    if parts.network is None or parts.apart:
        raise ValueError(f"{target!r} cannot express this network: its blocks have no site in a backbone there")
    if draft.image is not None:
        parts.load(matched.tensors)
        reason = _other_outputs(network, parts.network, draft.image)
    else:
        reason = difference(network, parts.network)
    if reason is not None:
        raise ValueError(f"{target!r} cannot express this network: {reason}")
    if draft.image is not None:
        return plan.conventions
    own = network.state_dict()
    changed = [name for name in own if not torch.equal(own[name], matched.tensors[name])]
    if changed or matched.new:
        raise ValueError(f"{target!r} cannot express this network: {changed or list(matched.new)} would change")
    return plan.conventions


def _other_outputs(ours: nn.Module, theirs: nn.Module, image: Tensor) -> str | None:
    """How far the outputs of both networks in eval mode differ, if more than rounding; None if they agree."""
    was, weight = ours.training, next(ours.parameters())
    image = image.to(weight.device, weight.dtype)
    with torch.no_grad():
        one, other = ours.eval()(image), theirs.to(weight.device)(image)
    ours.train(was)
    gap, size = float((one - other).abs().max()), float(one.abs().max())
    return None if gap <= 1e-4 * size else f"on a random image its outputs differ by {gap:.2g} of {size:.2g}"
