"""huggingface/pytorch-image-models, timm 1.0.31, `timm/layers/`.

Every function also takes timm's `device` and `dtype`, see `placed`. The further arguments that `NonLocalAttn`,
`EffectiveSEModule` and `BatNonLocalAttn` ignore are not arguments here.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from functools import wraps

import torch
from torch import nn

from wholeframe.blocks import (
    BAT,
    CBAM,
    ContextBlock,
    EffectiveSqueezeExcite,
    EfficientChannelAttention,
    GatherExcite,
    GlobalContext,
    IdentityTransform,
    LinearTransform,
    MeanContext,
    MeanMaxContext,
    NonLocal,
    SqueezeExcite,
)
from wholeframe.blocks.context import Fusion, Gate
from wholeframe.blocks.conventions import rounded
from wholeframe.blocks.transforms import Activation
from wholeframe.convert.rename import meaning

ACTIVATION_NAMES: dict[str | None, Activation] = {"relu": "relu", "ReLU": "relu", "silu": "silu", "SiLU": "silu"}
GATE_NAMES: dict[str | None, Gate] = {
    "sigmoid": "sigmoid",
    "Sigmoid": "sigmoid",
    "hard_sigmoid": "hard_sigmoid",
    "Hardsigmoid": "hard_sigmoid",
    "HardSigmoid": "hard_sigmoid",
}
NON_LOCAL = {"t.": "theta.", "p.": "phi.", "g.": "g.", "z.": "out.", "norm.": "norm."}
GLOBAL_CONTEXT = {
    "conv_attn.": "context.logits.",
    "mlp_add.fc1.": "add.reduce.",
    "mlp_add.norm.": "add.norm.",
    "mlp_add.fc2.": "add.expand.",
    "mlp_scale.fc1.": "multiply.reduce.",
    "mlp_scale.norm.": "multiply.norm.",
    "mlp_scale.fc2.": "multiply.expand.",
}
SQUEEZE_EXCITE = {"fc1.": "multiply.reduce.", "bn.": "multiply.norm.", "fc2.": "multiply.expand."}
EFFECTIVE = {"fc.": "multiply.expand."}
EFFICIENT = {"conv.": "multiply.expand."}
GATHER = {"mlp.fc1.": "multiply.reduce.", "mlp.fc2.": "multiply.expand."}
CBAM_NAMES = {
    "channel.fc1.": "channel.multiply.each.reduce.",
    "channel.fc2.": "channel.multiply.each.expand.",
    "spatial.conv.conv.": "spatial.",
    "spatial.conv.bn.": "spatial.norm.",
}
BAT_NAMES = {
    f"{theirs}.{layer}.": f"{ours}.{role}."
    for theirs, ours in {"conv1": "reduce", "ba.conv1": "mask", "ba.conv2": "mix", "conv2": "expand"}.items()
    for layer, role in {"conv": "linear", "bn": "norm"}.items()
} | {"ba.conv_p.": "rows.", "ba.conv_q.": "columns."}


def placed(make: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """`make` with the arguments `device` and `dtype` of an untrained block; a state brings its own."""

    @wraps(make)
    def build(*, device: torch.device | str | None = None, dtype: torch.dtype | None = None, **given: object):
        return make(**given).to(device=device, dtype=dtype)

    signature = inspect.signature(make)
    added = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in ("device", "dtype")]
    build.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *added])  # type: ignore[attr-defined]
    return build


def non_local(
    in_channels: int,
    use_scale: bool = True,
    rd_ratio: float = 1 / 8,
    rd_channels: int | None = None,
    rd_divisor: int = 8,
) -> NonLocal:
    """`NonLocalAttn`. It divides the logits by the root of the channels of x, not of theta."""
    return NonLocal(
        in_channels,
        inner=rounded(in_channels * rd_ratio, rd_divisor, least=0.9) if rd_channels is None else rd_channels,
        scale=in_channels**-0.5 if use_scale else None,
        std=None,
        init="identity",
    )


def global_context(
    channels: int,
    use_attn: bool = True,
    fuse_add: bool = False,
    fuse_scale: bool = True,
    init_last_zero: bool = False,
    rd_ratio: float = 1 / 8,
    rd_channels: int | None = None,
    rd_divisor: int = 1,
    act_layer: object = nn.ReLU,
    gate_layer: object = "sigmoid",
) -> GlobalContext:
    """`GlobalContext`. `init_last_zero` has no effect in the reference either.

    The reference starts the added transform with zero weights and random biases, so ours has `init="random"`.
    """
    return GlobalContext(
        channels,
        hidden=rounded(channels * rd_ratio, rd_divisor) if rd_channels is None else rd_channels,
        context="attention" if use_attn else "mean",
        fusion=fusion(fuse_add, fuse_scale),
        gate=meaning("gate_layer", gate_layer, GATE_NAMES),
        eps=1e-6,
        activation=meaning("act_layer", act_layer, ACTIVATION_NAMES),
        init="random",
    )


def fusion(fuse_add: bool, fuse_scale: bool) -> Fusion:
    """Our name for the two flags."""
    if fuse_add and fuse_scale:
        return "multiply_add"
    if not fuse_add and not fuse_scale:
        raise ValueError("fuse_add=False with fuse_scale=False is a block that returns its input; set one of them")
    return "add" if fuse_add else "multiply"


def squeeze_excite(
    channels: int,
    rd_ratio: float = 1 / 16,
    rd_channels: int | None = None,
    rd_divisor: int = 8,
    add_maxpool: bool = False,
    bias: bool = True,
    act_layer: object = nn.ReLU,
    norm_layer: object = None,
    gate_layer: object = "sigmoid",
) -> SqueezeExcite:
    """`SEModule`, also called `SqueezeExcite`."""
    return SqueezeExcite(
        channels,
        hidden=rd_channels or rounded(channels * rd_ratio, rd_divisor),
        norm=meaning("norm_layer", norm_layer, {"BatchNorm2d": "bn", None: None}),
        bias=bias,
        activation=meaning("act_layer", act_layer, ACTIVATION_NAMES),
        context="mean_max" if add_maxpool else "mean",
        gate=meaning("gate_layer", gate_layer, GATE_NAMES),
    )


def effective_squeeze_excite(
    channels: int, add_maxpool: bool = False, gate_layer: object = "hard_sigmoid"
) -> EffectiveSqueezeExcite | ContextBlock:
    """`EffectiveSEModule`, also called `EffectiveSqueezeExcite`."""
    gate = meaning("gate_layer", gate_layer, GATE_NAMES)
    if not add_maxpool:
        return EffectiveSqueezeExcite(channels, gate=gate)
    return ContextBlock(
        channels, context=MeanMaxContext, transform=LinearTransform, fusion="multiply", gate=gate, init="random"
    )


def efficient_channel(
    channels: int | None = None,
    kernel_size: int = 3,
    gamma: float = 2,
    beta: float = 1,
    act_layer: object = None,
    gate_layer: object = "sigmoid",
    rd_ratio: float = 1 / 8,
    rd_channels: int | None = None,
    rd_divisor: int = 8,
    use_mlp: bool = False,
    *,
    map_channels: int | None = None,
) -> EfficientChannelAttention:
    """`EcaModule`, also called `EfficientChannelAttn`.

    Given `channels`, the reference computes its kernel from them, `gamma` and `beta`. Without them it has
    `kernel_size` and takes maps of any width; a block here has one width, which `map_channels` then gives. `act_layer`
    and `rd_*` belong to `use_mlp`.
    """
    if use_mlp:
        raise ValueError("use_mlp=True has no counterpart here, as it is not in the paper; give use_mlp=False")
    width = map_channels if channels is None else channels
    if width is None:
        raise ValueError(
            f"EcaModule(kernel_size={kernel_size}) takes maps of any width, and a block here takes maps of one; add "
            "their channels as 'map_channels', or as 'channels' if the module was built with them"
        )
    if map_channels not in (None, width):
        raise ValueError(f"channels={channels} and map_channels={map_channels} differ; leave map_channels out")
    kernel = kernel_size if channels is None else channel_kernel(channels, gamma, beta)
    return EfficientChannelAttention(width, kernel=kernel, gate=meaning("gate_layer", gate_layer, GATE_NAMES))


def channel_kernel(channels: int, gamma: float, beta: float) -> int:
    """int(|log2 c + beta| / gamma), plus one where that is even, and at least 3."""
    width = int(abs(math.log2(channels) + beta) / gamma)
    return max(width + (width + 1) % 2, 3)


def gather_excite(
    channels: int,
    feat_size: Sequence[int] | None = None,
    extra_params: bool = False,
    extent: int = 0,
    use_mlp: bool = True,
    rd_ratio: float = 1 / 16,
    rd_channels: int | None = None,
    rd_divisor: int = 1,
    add_maxpool: bool = False,
    act_layer: object = nn.ReLU,
    norm_layer: object = nn.BatchNorm2d,
    gate_layer: object = "sigmoid",
) -> GatherExcite | ContextBlock:
    """`GatherExcite` without strided convolutions (`extra_params`). Extent 0 is the whole map.

    The default is squeeze-and-excitation, `mlp` being its bottleneck; timm 1.0.31 raises a `TypeError` where it builds
    one. `feat_size` and `norm_layer` belong to `extra_params`, `rd_*` and `act_layer` to `use_mlp`.
    """
    if extra_params:
        raise ValueError("extra_params=True has no counterpart here; give extra_params=False")
    gate = meaning("gate_layer", gate_layer, GATE_NAMES)
    if use_mlp and extent:
        raise ValueError(
            f"use_mlp=True with extent={extent} has no counterpart here; give use_mlp=False, or extent=0, the whole map"
        )
    if use_mlp:
        return SqueezeExcite(
            channels,
            hidden=rd_channels or rounded(channels * rd_ratio, rd_divisor),
            activation=meaning("act_layer", act_layer, ACTIVATION_NAMES),
            context="mean_max" if add_maxpool else "mean",
            gate=gate,
        )
    if extent:
        return GatherExcite(channels, extent=extent, context="mean_max" if add_maxpool else "mean", gate=gate)
    return ContextBlock(
        channels,
        context=MeanMaxContext if add_maxpool else MeanContext,
        transform=IdentityTransform,
        fusion="multiply",
        gate=gate,
        init="random",
    )


def cbam(
    channels: int,
    rd_ratio: float = 1 / 16,
    rd_channels: int | None = None,
    rd_divisor: int = 1,
    spatial_kernel_size: int = 7,
    act_layer: object = nn.ReLU,
    gate_layer: object = "sigmoid",
    mlp_bias: bool = False,
) -> CBAM:
    """`CbamModule`."""
    return CBAM(
        channels,
        hidden=rd_channels or rounded(channels * rd_ratio, rd_divisor),
        bias=mlp_bias,
        activation=meaning("act_layer", act_layer, ACTIVATION_NAMES),
        kernel=spatial_kernel_size,
        gate=meaning("gate_layer", gate_layer, GATE_NAMES),
    )


def bilinear(
    in_channels: int,
    block_size: int = 7,
    groups: int = 2,
    rd_ratio: float = 0.25,
    rd_channels: int | None = None,
    rd_divisor: int = 8,
    drop_rate: float = 0.2,
    act_layer: object = nn.ReLU,
    norm_layer: object = nn.BatchNorm2d,
) -> BAT:
    """`BatNonLocalAttn`."""
    meaning("act_layer", act_layer, {"relu": None, "ReLU": None})
    meaning("norm_layer", norm_layer, {"BatchNorm2d": None})
    return BAT(
        in_channels,
        inner=rounded(in_channels * rd_ratio, rd_divisor, least=0.9) if rd_channels is None else rd_channels,
        size=block_size,
        groups=groups,
        dropout=drop_rate,
    )
