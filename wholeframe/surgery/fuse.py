"""A network for inference: batch norms folded into the layers before them, and blocks that make fewer passes."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from wholeframe.messages import counted, listed, shown
from wholeframe.surgery.activated import own_children
from wholeframe.surgery.children import tell_compiler
from wholeframe.surgery.detectors import is_detector, tensors
from wholeframe.surgery.feeds import feeds, folds, norms_of
from wholeframe.surgery.fold import fold_into, scale_shift
from wholeframe.surgery.folded import Folded, InferenceOnly, is_fused
from wholeframe.surgery.fuse_blocks import fuse_blocks
from wholeframe.surgery.merged import Merged, merges
from wholeframe.surgery.placement import CHILD, attach, detach, hook_of
from wholeframe.surgery.probe import Call, Example, as_call, deviation, does_not_fit, outputs, refuse_model
from wholeframe.surgery.record import block_kind, carry
from wholeframe.surgery.rounding import amplified
from wholeframe.surgery.verify import refuse_lost

FUSION = "_wholeframe_fusion"


@dataclass(frozen=True)
class Fusion:
    """What `fuse` did.

    `folded` has every norm that is now part of a layer, with the name of the layer, and `left` every norm that stays,
    with the reason. `merged` says of blocks what became one operation. `deviation` is the largest difference of the
    outputs on the example, relative to the largest output (of a detector, of the maps of its backbone).
    """

    folded: Mapping[str, str]
    merged: Mapping[str, str]
    left: Mapping[str, str]
    deviation: float

    def __str__(self) -> str:
        lines = [f"{norm} is folded into {layer}" for norm, layer in self.folded.items()]
        lines += [f"{name}: {what}" for name, what in self.merged.items()]
        lines += [f"{norm} stays: {reason}" for norm, reason in self.left.items()]
        counts = f"{counted(len(self.folded), 'norm')} folded, {len(self.left)} left, {len(self.merged)} merged"
        return "\n".join([*lines, f"{counts}; outputs differ by {self.deviation:.2g} of the largest"])


def fuse(model: nn.Module, example: Example = None) -> nn.Module:
    """A copy of the network for inference, which computes the same in fewer operations.

        s (W x + b) + t  =  (s W) x + (s b + t)

    Every batch norm (also a frozen one, and those within blocks) becomes part of the convolution or linear layer that
    feeds it. Which layer that is, and that nothing else reads its output, is found by running the network on the
    example. Inserted blocks stay attached, `wf.blocks_of` and `wf.attention` see them. theta, phi and g of a block
    become one product. A context block on the norm after a 1 x 1 convolution reads the input of the convolution, which
    has fewer channels, and what it adds or multiplies becomes part of the convolution's bias and weight.

    Equal to rounding. The copy is in eval mode and refuses training mode. Save the network before: `wf.fuse` the
    network that is loaded.

    Args:
        model: a network in any mode; it stays as it is.
        example: input of one forward pass, as in `wf.insert`; None for one 224 x 224 image.

    Returns:
        The copy. `wf.fusion_of(copy)` says what was folded, what was left, and why.

    Raises:
        ValueError: if the network is fused already, has neither norms nor blocks, is compiled or wrapped, has lost a
            block, or does not run on the example; and if the copy computes something else, because the network uses
            its norms in a way that replacing them does not serve, or amplifies rounding beyond use.
    """
    refuse_model(model)
    refuse_lost(model)
    if is_fused(model):
        raise ValueError("this network is fused already; take it as it is")
    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        raise ValueError("this network has weights without values (meta), so nothing can be folded; load its weights")
    call = as_call(model, example)
    fused = copy.deepcopy(model)
    for module in fused.modules():
        module.training = False
    folded, merged, left = fuse_blocks(fused)
    if not folded and not merged and not left and not norms_of(fused):
        raise ValueError(
            f"this {shown(type(model).__name__)} has no batch norm and no block that fuses; take it as it is"
        )
    try:
        before = _results(model, call)
    except Exception as error:
        raise ValueError(does_not_fit(call, error)) from error
    more, unfolded = _fold_all(fused, call, set(left), merged)
    deviation = _compared(model, fused, call, before)
    fused.requires_grad_(False)
    fused.register_forward_pre_hook(InferenceOnly())
    tell_compiler(fused)
    fused.__dict__[FUSION] = Fusion({**folded, **more}, merged, {**left, **unfolded}, deviation)
    return fused


def fusion_of(network: nn.Module) -> Fusion:
    """What `wf.fuse` did to this network.

    Args:
        network: what `wf.fuse` returned.

    Raises:
        ValueError: if the network is not fused.
    """
    found = network.__dict__.get(FUSION)
    if found is None:
        raise ValueError(f"this {shown(type(network).__name__)} is not fused; `wf.fuse(network)` returns a fused copy")
    return found


def _fold_all(
    network: nn.Module, call: Call, settled: set[str], merged: dict[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Fold every norm that can be; a norm after a folded norm is found in a further pass."""
    done: dict[str, str] = {}
    while True:
        found = feeds(network, call)
        able, left = folds(network, found)
        names = {module: name for name, module in network.named_modules()}
        for name, layer in able.items():
            norm = network.get_submodule(name)
            once = len(found.of[norm]) == 1 and layer not in found.stale
            folded = fold(network, norm, layer)
            done[name] = names[layer]
            if once and merge_site(network, folded, layer):
                merged[name] = f"its {block_kind(network.get_submodule(name))} reads the input of {names[layer]}"
        if not able or all(name in settled for name in left):
            return done, {name: reason for name, reason in left.items() if name not in settled}


def fold(network: nn.Module, norm: nn.Module, layer: nn.Module) -> Folded:
    """Make a norm part of its layer; a `Folded` has its place, its children and its block."""
    affine = scale_shift(norm)
    assert affine is not None
    fold_into(layer, affine)
    folded = Folded(norm)
    if hook := hook_of(norm):
        attach(folded, norm.get_submodule(CHILD), hook.layout, hook.output)
        carry(norm, folded)
    put(network, norm, folded)
    return folded


def merge_site(network: nn.Module, site: Folded, layer: nn.Module) -> bool:
    """Compute the block of a site together with the layer that feeds it, where that saves passes over the map.

    The layer moves into the site, and returns its input where it was.
    """
    hook = hook_of(site)
    if hook is None or own_children(site) or not merges(layer, site.get_submodule(CHILD), hook):
        return False
    merged = Merged(layer, site.get_submodule(CHILD), hook)
    detach(site)
    carry(site, merged)
    put(network, layer, Folded(layer))
    put(network, site, merged)
    return True


def put(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """The new module in the place of the old one, under all its names."""
    for name in [name for name, m in network.named_modules(remove_duplicate=False) if m is old]:
        network.set_submodule(name, new)


def _results(model: nn.Module, call: Call) -> list[torch.Tensor]:
    """What the network returns; of a detector the maps of its backbone, because rounding decides between its boxes."""
    if not is_detector(model):
        return outputs(model, call)
    maps: list[torch.Tensor] = []
    with model.get_submodule("backbone").register_forward_hook(lambda _m, _a, given: maps.extend(tensors(given))):
        outputs(model, call)
    return maps


def _compared(model: nn.Module, fused: nn.Module, call: Call, before: list[torch.Tensor]) -> float:
    """The largest difference of the outputs, relative to the largest of them."""
    misused = "the network uses its batch norms in a way that replacing them does not serve; take the network as it is"
    try:
        after = _results(fused, call)
    except Exception as error:
        raise ValueError(f"the fused copy does not run ({type(error).__name__}: {error}): {misused}") from error
    numbers = [t for t in before if t.is_floating_point() and t.numel()]
    if numbers and not any(t.isfinite().any() for t in numbers):
        raise ValueError(
            "the network returns no finite number on the example, so nothing shows that a fused copy computes the "
            "same; load trained weights, or give another example"
        )
    relative = _relative(before, after)
    worst = max((torch.finfo(t.dtype).eps ** 0.5 for t in before if t.is_floating_point()), default=0.0)
    if not relative <= worst:
        why = _rounding(model, call, before, after) or misused
        raise ValueError(f"the fused copy returns something else (a difference of {relative:.2g}): {why}")
    return relative


def _relative(before: list[torch.Tensor], after: list[torch.Tensor]) -> float:
    finite = [t.abs()[t.isfinite()] for t in before if t.is_floating_point()]
    largest = max((values.max().item() for values in finite if values.numel()), default=0.0)
    gap = deviation(before, after)
    return gap / largest if gap > 0 and largest > 0 else gap


def _rounding(model: nn.Module, call: Call, before: list[torch.Tensor], after: list[torch.Tensor]) -> str | None:
    """The sentence for a network that is as far from its result in float64 as the copy; None for one that is not."""
    try:
        exact = _results(copy.deepcopy(model).double(), Call(*pytree.tree_map(_double, tuple(call))))
    except Exception:  # any error: a network with a dtype in its code has no result in float64
        return None
    own, of_copy = (_relative(exact, [_double(t) for t in given]) for given in (before, after))
    dtypes = listed(sorted({str(t.dtype).removeprefix("torch.") for t in before if t.is_floating_point()}))
    return amplified(own, of_copy, dtypes, "the copy", "fuse")


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
