"""The arithmetic of folding: a norm that is s y + t, and the layer before it, as one layer.

s (W x + b) + t  =  (s W) x + (s b + t)
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from wholeframe.blocks import Affine

STATISTICS = ("running_mean", "running_var")


class ScaleShift(NamedTuple):
    """s and t of every channel, in float64 on the CPU."""

    s: Tensor
    t: Tensor


def is_norm(module: nn.Module) -> bool:
    """Whether the module normalises by stored statistics: batch norms, frozen ones of any library, and `Affine`."""
    stored = all(isinstance(getattr(module, name, None), Tensor) for name in (*STATISTICS, "weight", "bias"))
    return isinstance(module, _BatchNorm | Affine) or (stored and hasattr(module, "eps"))


@torch.no_grad()
def scale_shift(norm: nn.Module) -> ScaleShift | None:
    """s and t of a norm in eval mode; None for one that normalises by the statistics of its input."""
    weight, bias = _wide(norm, "weight"), _wide(norm, "bias")
    if isinstance(norm, Affine):
        assert weight is not None and bias is not None
        return ScaleShift(weight, bias)
    mean, var = (_wide(norm, name) for name in STATISTICS)
    if mean is None or var is None:
        return None
    s = (var + float(norm.eps)).rsqrt()  # pyright: ignore[reportArgumentType]
    s = s if weight is None else s * weight
    return ScaleShift(s, -mean * s if bias is None else bias - mean * s)


@torch.no_grad()
def fold_into(layer: nn.Module, norm: ScaleShift) -> None:
    """Change the weight and bias of a layer so that it computes its norm as well; new parameters replace the old."""
    weight, bias = layer.get_parameter("weight"), layer._parameters.get("bias")
    s, t = norm
    if isinstance(layer, _ConvTransposeNd):  # (in, out / groups, *kernel)
        scale = s.view(layer.groups, 1, -1).expand(-1, weight.shape[0] // layer.groups, -1).flatten(0, 1)
        scale = scale.view(*scale.shape, *(1,) * (weight.ndim - 2))
    else:
        scale = s.view(-1, *(1,) * (weight.ndim - 1))
    shift = t if bias is None else s * bias.cpu().double() + t
    layer.register_parameter("weight", _like(weight.cpu().double() * scale, weight))
    layer.register_parameter("bias", _like(shift, weight))


def out_channels(layer: nn.Module) -> int:
    """The number of channels that a layer makes, by its weight."""
    if isinstance(layer, _ConvNd):
        return layer.out_channels
    return layer.get_parameter("weight").shape[0]


def _wide(module: nn.Module, name: str) -> Tensor | None:
    value = getattr(module, name, None)
    return None if value is None else value.detach().cpu().double()


def _like(value: Tensor, weight: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(value.to(weight.device, weight.dtype), requires_grad=weight.requires_grad)
