"""What of a block becomes one operation: the norms that a block reads itself, and theta, phi and g."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from wholeframe.blocks import CGNL, Affine, Bottleneck, GSoP, NonLocal, RowConv
from wholeframe.blocks.conv_norm import ConvNorm
from wholeframe.blocks.frozen_norm import Shift
from wholeframe.blocks.grouped import GroupedLinear
from wholeframe.blocks.recipe import FUSED
from wholeframe.blocks.together import merge
from wholeframe.surgery.feeds import changed
from wholeframe.surgery.fold import ScaleShift, fold_into, scale_shift
from wholeframe.surgery.folded import Folded

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, GroupedLinear)


def fuse_blocks(network: nn.Module) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Fold the norms within blocks, and merge their projections, in place.

    Returns:
        The folded norms with their layers, the merged blocks with what was merged, and the norms that stay with the
        reason, each by name.
    """
    folded, merged, left = {}, {}, {}
    for name, module in list(network.named_modules()):
        prefix = f"{name}." if name else ""
        if (found := _norm_of(module)) is not None:
            norm, layers = getattr(module, found[0]), [getattr(module, layer) for layer in found[1]]
            if (reason := _stays(module, norm, layers)) is not None:
                left[prefix + found[0]] = reason
            else:
                _fold(module, found[0], norm, layers)
                folded[prefix + found[0]] = prefix + found[1][0]
                module.__dict__[FUSED] = True
        if type(module) in (NonLocal, CGNL) and _merges(module):
            merge(module, ("theta", "phi", "g"))
            merged[name] = "theta, phi and g are one product"
            module.__dict__[FUSED] = True
    return folded, merged, left


Norm = tuple[str, tuple[str, ...]]
"""the name of a norm within its block, and those of the layers before it"""


def _norm_of(block: nn.Module) -> Norm | None:
    """The norm that a block reads or calls itself, and its layers."""
    names: dict[type, Norm] = {
        NonLocal: ("norm", ("out",)),
        CGNL: ("norm", ("out",)),
        ConvNorm: ("norm", ("linear",)),
        Bottleneck: ("norm", ("reduce",)),
        GSoP: ("norm", ("out_channel", "out_position")),
        RowConv: ("row_norm", ("row_conv",)),
    }
    norm = names.get(type(block))
    return norm if norm is not None and isinstance(getattr(block, norm[0]), _BatchNorm | Affine) else None


def _stays(block: nn.Module, norm: nn.Module, layers: list[nn.Module]) -> str | None:
    """Why the norm stays, as a clause."""
    if scale_shift(norm) is None:
        return "it has no running statistics, and normalises by those of its batch"
    for module in (norm, *layers):
        if (reason := changed(module, blocks=False)) is not None:
            return f"of the {type(module).__name__}: {reason}"
    if other := next((layer for layer in layers if type(layer) not in LAYERS), None):
        return f"a tool has put a {type(other).__name__} before it"
    if isinstance(block, RowConv) and layers[0].get_parameter("weight").dtype.itemsize < 4:
        return "the covariance that it takes is float32, and the layer after it has half precision"
    return None


def _fold(block: nn.Module, name: str, norm: nn.Module, layers: list[nn.Module]) -> None:
    """The norm becomes part of its layers."""
    affine = scale_shift(norm)
    assert affine is not None
    if isinstance(block, RowConv):
        _fold_before(block.row_conv, affine)
    elif isinstance(block, CGNL):
        _scale(block.out, affine)
    else:  # a sum of two layers takes the shift once
        for place, layer in enumerate(layers):
            fold_into(layer, ScaleShift(affine.s, affine.t if place == 0 else torch.zeros_like(affine.t)))
    if isinstance(block, CGNL):
        weight = block.out.weight
        setattr(block, name, Shift(affine.t.to(weight.device, weight.dtype)))
    else:
        setattr(block, name, None if isinstance(block, NonLocal | Bottleneck) else Folded(norm))


@torch.no_grad()
def _fold_before(conv: nn.Conv1d, affine: ScaleShift) -> None:
    """W (s x + t) + b, where each group of W has one row of x:  (W s) x + (W t + b)."""
    weight = conv.weight.cpu().double()
    s, t = (value.repeat_interleave(conv.out_channels // conv.groups) for value in affine)
    bias = t * weight.sum(dim=(1, 2)) + (0 if conv.bias is None else conv.bias.cpu().double())
    trained = conv.weight.requires_grad
    conv.bias = nn.Parameter(bias.to(conv.weight), requires_grad=trained)
    conv.weight = nn.Parameter((weight * s[:, None, None]).to(conv.weight), requires_grad=trained)


@torch.no_grad()
def _scale(out: GroupedLinear, affine: ScaleShift) -> None:
    weight = out.weight.cpu().double() * affine.s[:, None]
    out.weight = nn.Parameter(weight.to(out.weight), requires_grad=out.weight.requires_grad)


def _merges(block: nn.Module) -> bool:
    """Whether theta, phi and g are ordinary layers, which can be rows of one."""
    layers = [block._modules.get(name) for name in ("theta", "phi", "g")]
    if any(
        type(layer) is not nn.Linear or layer is None or changed(layer, blocks=False) is not None for layer in layers
    ):
        return False
    return len({(layer.get_parameter("weight").dtype, layer.bias is None) for layer in layers if layer}) == 1
