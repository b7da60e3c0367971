"""Files of timm's networks with attention that blocks here compute: the network of timm, with our blocks inside.

`stages.0.0.attn.mlp_scale.fc1.weight` becomes `stages.0.0.attn.wholeframe.multiply.reduce.weight`: the module of timm
is replaced by an identity, after which our block runs. Modules without a counterpart stay those of timm.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from wholeframe.blocks import SqueezeExcite
from wholeframe.convert import timm as blocks
from wholeframe.convert.networks.image import Shapes
from wholeframe.convert.plan import Plan
from wholeframe.convert.rename import meaning
from wholeframe.convert.whole import WholeSource
from wholeframe.messages import counted, listed
from wholeframe.models.build import refuse_timm
from wholeframe.models.origin import Origin

Names = Mapping[str, str | None]
EFFICIENT_NET = {"conv_reduce.": "multiply.reduce.", "conv_expand.": "multiply.expand."}


def plan(shapes: Shapes, *, network: str | None = None, arguments: Mapping[str, Any] = MappingProxyType({})) -> Plan:
    """A network of timm.

    Args:
        network: its name, which the names of tensors do not show: hundreds of networks of timm share them.
        arguments: of `timm.create_model`, such as `{"output_stride": 8}`. Classes and colours are read from the file.
    """
    if network is None:
        raise ValueError(
            "the names of its tensors are those of many networks of timm; give network= the name of the one, such as "
            "network='gcresnet50t' (`timm.list_models()` lists them)"
        )
    refuse_timm(network)
    theirs = _built(network, arguments)
    given = {**arguments, **_read(shapes, theirs, arguments)}
    theirs = theirs if given == arguments else _built(network, given)
    found, kept = dict[str, tuple[nn.Module, Names]](), dict[str, str]()
    converters = _converters(_widths(theirs))
    for name, module in theirs.named_modules():
        if (convert := converters.get(type(module))) is not None:
            try:
                found[name] = convert(module)
            except ValueError as error:
                kept[name] = str(error)
    if not found:
        why = f": {next(iter(kept.values()))}" if kept else ""
        raise ValueError(f"timm's {network!r} has no attention that a block here computes{why}")
    config = _config(theirs)
    return Plan(
        origin=Origin("timm", network, given, tuple(found)),
        blocks={site: block for site, (block, _) in found.items()},
        names={
            **{
                f"{site}.{prefix}": f"{site}.wholeframe.{ours}"
                for site, (_, names) in found.items()
                for prefix, ours in names.items()
            },
            "": "",
        },
        conventions={
            "network": f"timm/{network}",
            **({"modules that stay timm's": f"{counted(len(kept), 'module')} ({listed(kept)})"} if kept else {}),
        },
        mean=config.get("mean"),
        std=config.get("std"),
    )


def _built(network: str, arguments: Mapping[str, Any]) -> nn.Module:
    import timm

    with torch.device("meta"):
        return timm.create_model(network, pretrained=False, **arguments)


def _read(shapes: Shapes, theirs: nn.Module, arguments: Mapping[str, Any]) -> dict[str, int]:
    """Classes and colours of the file, where they are not those of the network."""
    own, config = theirs.state_dict(), _config(theirs)
    read: dict[str, int] = {}
    classifier, first = (f"{_first(config.get(key))}.weight" for key in ("classifier", "first_conv"))
    if "num_classes" not in arguments and classifier in own:
        classes = shapes[classifier][0] if classifier in shapes else 0
        read |= {} if classes == own[classifier].shape[0] else {"num_classes": classes}
    if "in_chans" not in arguments and first in own and first in shapes:
        colours = shapes[first][1]
        read |= {} if colours == own[first].shape[1] else {"in_chans": colours}
    return read


def _config(network: nn.Module) -> Mapping[str, Any]:
    config = getattr(network, "pretrained_cfg", None)
    return config if isinstance(config, Mapping) else {}


def _first(names: object) -> str:
    return str(names[0]) if isinstance(names, tuple | list) else str(names)


def _widths(network: nn.Module) -> dict[nn.Module, int]:
    """The channels of the maps that come to each `EcaModule`, which has no tensor with an axis of them."""
    from timm.layers.eca import EcaModule

    widths: dict[nn.Module, int] = {}
    modules = [module for module in network.modules() if type(module) is EcaModule]
    if not modules:
        return widths

    def note(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        widths[module] = given[0].shape[1]

    handles = [module.register_forward_pre_hook(note) for module in modules]
    image = torch.empty(1, *_config(network).get("input_size", (3, 224, 224)), device="meta")
    with torch.no_grad():
        network.eval()(image)
    for handle in handles:
        handle.remove()
    return widths


# ------------------------------------------------------------------------------------------------------ modules of timm


def _converters(widths: Mapping[nn.Module, int]) -> dict[type, Callable[[Any], tuple[nn.Module, Names]]]:
    """Modules of timm -> our block with the arguments that they were built with, and the names of their tensors."""
    from timm.layers import cbam, eca, global_context, non_local_attn, squeeze_excite
    from timm.models import _efficientnet_blocks, senet

    return {
        squeeze_excite.SEModule: lambda m: (_squeeze_excite(m), blocks.SQUEEZE_EXCITE),
        squeeze_excite.EffectiveSEModule: lambda m: (_effective(m), blocks.EFFECTIVE),
        eca.EcaModule: lambda m: (_efficient_channel(m, widths), blocks.EFFICIENT),
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


def stated(entries: Mapping[str, object]) -> dict[str, object]:
    """The network that timm's training program names in its files."""
    return {"network": entries["arch"]} if isinstance(entries.get("arch"), str) else {}


SOURCE = WholeSource(
    repository="huggingface/pytorch-image-models, timm 1.0.31",
    licence="Apache-2.0 (code); that of the weights is on their model card",
    decisive=(
        r"\.(attn|attn_last|se|se_module)\."
        r"(conv_attn|mlp_scale\.fc1|mlp_add\.fc1|fc1|fc|conv|conv_reduce|t|ba\.conv_p|channel\.fc1)\.weight$",
    ),
    excluded=(r"^trunk_output\.", r"^features\."),
    plan=plan,
    stated=stated,
)
