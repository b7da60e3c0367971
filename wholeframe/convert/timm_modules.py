"""Attention modules of timm 1.0.31, as they are built within its networks, and the residual block around them.

The arguments of our block are read from the layers of the module, since its constructor does not keep them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from wholeframe.blocks import SqueezeExcite
from wholeframe.convert import timm as blocks
from wholeframe.convert.rename import meaning

Names = Mapping[str, str | None]
Converted = tuple[nn.Module, Names]
EFFICIENT_NET = {"conv_reduce.": "multiply.reduce.", "conv_expand.": "multiply.expand."}
ATTENTION = (
    blocks.GLOBAL_CONTEXT,
    blocks.SQUEEZE_EXCITE,
    blocks.EFFECTIVE,
    blocks.EFFICIENT,
    blocks.GATHER,
    blocks.NON_LOCAL,
    blocks.CBAM_NAMES,
    blocks.BAT_NAMES,
)
BOTTLENECK = {
    **{
        f"{place}.{theirs}": f"{place}.{ours}"
        for place in ("attn", "attn_last")
        for names in ATTENTION
        for theirs, ours in names.items()
    },
    **{f"{layer}.": f"{layer}." for layer in ("shortcut", "conv1_1x1", "conv2_kxk", "conv2b_kxk", "conv3_1x1")},
}


def bottleneck(
    in_chs: int,
    out_chs: int,
    kernel_size: int = 3,
    stride: int = 1,
    dilation: tuple[int, int] = (1, 1),
    bottle_ratio: float = 1.0,
    group_size: int | None = None,
    downsample: str = "avg",
    attn_last: bool = False,
    linear_out: bool = False,
    extra_conv: bool = False,
    bottle_in: bool = False,
    layers: Any = None,
    drop_block: Any = None,
    drop_path_rate: float = 0.0,
    *,
    attn_layer: str | None = None,
    attn_kwargs: Mapping[str, object] = MappingProxyType({}),
    act_layer: Any = None,
) -> nn.Module:
    """`BottleneckBlock` of `timm/models/byobnet.py`: timm's, with our block in the place of its attention.

    `attn_layer`, `attn_kwargs` and `act_layer` are entries of `ByoModelCfg`, from which timm builds `layers`; they
    add to `layers`, whose default is ReLU without attention.
    """
    try:
        from timm.layers.create_act import get_act_layer
        from timm.layers.create_attn import get_attn
        from timm.models import byobnet
    except ImportError as error:
        raise ValueError("timm.BottleneckBlock has timm's layers; install it with `uv sync --extra timm`") from error
    functions = byobnet.LayerFn() if layers is None else layers
    if attn_layer is not None:
        attention: Any = get_attn(attn_layer)
        functions = replace(functions, attn=partial(attention, **attn_kwargs))
    if act_layer is not None:
        act = get_act_layer(act_layer)
        functions = replace(functions, act=act, conv_norm_act=partial(functions.conv_norm_act, act_layer=act))
    block: Any = byobnet.BottleneckBlock(
        in_chs,
        out_chs,
        kernel_size,
        stride,
        (dilation[0], dilation[1]),
        bottle_ratio,
        group_size,
        downsample,
        attn_last,
        linear_out,
        extra_conv,
        bottle_in,
        functions,
        drop_block,
        drop_path_rate,
    )
    for place, channels in {"attn": block.conv3_1x1.conv.in_channels, "attn_last": out_chs}.items():
        module = block.get_submodule(place)
        if not isinstance(module, nn.Identity):
            convert = converters({module: channels}).get(type(module))
            if convert is None:
                raise ValueError(f"timm's {type(module).__name__} has no counterpart here")
            block.set_submodule(place, convert(module)[0])
    return block


def widths(network: nn.Module, size: Sequence[int]) -> dict[nn.Module, int]:
    """The channels of the maps that come to each `EcaModule` and `GatherExcite`, whose tensors do not show them.

    Args:
        network: on the meta device.
        size: of an input, without the batch.
    """
    from timm.layers.eca import EcaModule
    from timm.layers.gather_excite import GatherExcite

    found: dict[nn.Module, int] = {}
    modules = [module for module in network.modules() if type(module) in (EcaModule, GatherExcite)]
    if not modules:
        return found

    def note(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        found[module] = given[0].shape[1]

    handles = [module.register_forward_pre_hook(note) for module in modules]
    image = torch.empty(1, *size, device="meta")
    with torch.no_grad():
        network.eval()(image)
    for handle in handles:
        handle.remove()
    return found


def converters(widths: Mapping[nn.Module, int]) -> dict[type, Callable[[Any], Converted]]:
    """Modules of timm -> our block with the arguments that they were built with, and the names of their tensors."""
    from timm.layers import cbam, eca, gather_excite, global_context, non_local_attn, squeeze_excite
    from timm.models import _efficientnet_blocks, senet

    return {
        squeeze_excite.SEModule: lambda m: (_squeeze_excite(m), blocks.SQUEEZE_EXCITE),
        squeeze_excite.EffectiveSEModule: lambda m: (_effective(m), blocks.EFFECTIVE),
        eca.EcaModule: lambda m: (_efficient_channel(m, widths), blocks.EFFICIENT),
        gather_excite.GatherExcite: lambda m: (_gather_excite(m, widths), blocks.GATHER),
        global_context.GlobalContext: lambda m: (_global_context(m), blocks.GLOBAL_CONTEXT),
        non_local_attn.NonLocalAttn: lambda m: (_non_local(m), blocks.NON_LOCAL),
        non_local_attn.BatNonLocalAttn: lambda m: (_bilinear(m), blocks.BAT_NAMES),
        cbam.CbamModule: lambda m: (_cbam(m), blocks.CBAM_NAMES),
        senet.SEModule: lambda m: (_legacy(m), blocks.SQUEEZE_EXCITE),
        _efficientnet_blocks.SqueezeExcite: lambda m: (_efficient_net(m), EFFICIENT_NET),
    }


def _squeeze_excite(m: Any) -> nn.Module:
    bare = isinstance(m.bn, nn.Identity)
    return blocks.squeeze_excite(
        m.fc1.in_channels,
        rd_channels=m.fc1.out_channels,
        add_maxpool=m.add_maxpool,
        bias=m.fc1.bias is not None,
        act_layer=type(m.act),
        norm_layer=None if bare else _plain_norm(m.bn),
        gate_layer=type(m.gate),
    )


def _effective(m: Any) -> nn.Module:
    return blocks.effective_squeeze_excite(m.fc.in_channels, add_maxpool=m.add_maxpool, gate_layer=type(m.gate))


def _efficient_channel(m: Any, widths: Mapping[nn.Module, int]) -> nn.Module:
    return blocks.efficient_channel(
        kernel_size=m.conv.kernel_size[0],
        map_channels=widths.get(m),
        gate_layer=type(m.gate),
        use_mlp=m.conv2 is not None,
    )


def _gather_excite(m: Any, widths: Mapping[nn.Module, int]) -> nn.Module:
    bare = isinstance(m.mlp, nn.Identity)
    return blocks.gather_excite(
        widths[m] if bare else m.mlp.fc1.in_channels,
        extra_params=m.gather is not None,
        extent=m.extent,
        use_mlp=not bare,
        rd_channels=None if bare else m.mlp.fc1.out_channels,
        add_maxpool=m.add_maxpool,
        act_layer=nn.ReLU if bare else type(m.mlp.act),
        gate_layer=type(m.gate),
    )


def _global_context(m: Any) -> nn.Module:
    first = m.mlp_scale or m.mlp_add
    return blocks.global_context(
        first.fc1.in_channels,
        use_attn=m.conv_attn is not None,
        fuse_add=m.mlp_add is not None,
        fuse_scale=m.mlp_scale is not None,
        rd_channels=first.fc1.out_channels,
        act_layer=type(first.act),
        gate_layer=type(m.gate),
    )


def _non_local(m: Any) -> nn.Module:
    return blocks.non_local(m.t.in_channels, use_scale=m.scale != 1, rd_channels=m.t.out_channels)


def _bilinear(m: Any) -> nn.Module:
    norms = [m.conv1.bn, m.conv2.bn, m.ba.conv1.bn, m.ba.conv2.bn]
    if any(type(norm.act) is not nn.ReLU or norm.eps != 1e-5 for norm in norms):
        raise ValueError("BatNonLocalAttn has a counterpart here with ReLU and eps=1e-5 alone")
    return blocks.bilinear(
        m.conv1.conv.in_channels,
        block_size=m.ba.block_size,
        groups=m.ba.groups,
        rd_channels=m.conv1.conv.out_channels,
        drop_rate=m.dropout.p,
    )


def _cbam(m: Any) -> nn.Module:
    channel = m.channel
    return blocks.cbam(
        channel.fc1.in_channels,
        rd_channels=channel.fc1.out_channels,
        spatial_kernel_size=m.spatial.conv.conv.kernel_size[0],
        act_layer=type(channel.act),
        gate_layer=type(channel.gate),
        mlp_bias=channel.fc1.bias is not None,
    )


def _legacy(m: Any) -> nn.Module:
    return SqueezeExcite(m.fc1.in_channels, hidden=m.fc1.out_channels)


def _efficient_net(m: Any) -> nn.Module:
    return SqueezeExcite(
        m.conv_reduce.in_channels,
        hidden=m.conv_reduce.out_channels,
        activation=meaning("act_layer", type(m.act1), blocks.ACTIVATION_NAMES),
        gate=meaning("gate_layer", type(m.gate), blocks.GATE_NAMES),
    )


def _plain_norm(norm: nn.Module) -> type:
    if getattr(norm, "eps", None) != 1e-5:
        raise ValueError(f"SEModule with {norm} has no counterpart here, where the norm has eps=1e-5")
    return type(norm)
