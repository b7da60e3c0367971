"""ZilinGao/Global-Second-order-Pooling-Convolutional-Networks: GSoP-Net1 and GSoP-Net2 of any depth.

The tensors of a residual block show which gates it has. The sum and the maximum of both gates have the same tensors.
"""

import math
import re
from typing import Any, Literal

import torch
from torch import nn

from wholeframe.blocks import GSoP, GSoPChannel, GSoPPosition
from wholeframe.convert import gsop
from wholeframe.convert.networks.resnet_shapes import axes, refuse_useless, resnet_origin
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.rename import renamed
from wholeframe.convert.whole import WholeSource
from wholeframe.messages import one_of

STEPS = 3
SAID = {"+": "sum", "M": "max", "&": "concat"}
HEAD = {"layer_reduce.": "avgpool.reduce.linear.", "layer_reduce_bn.": "avgpool.reduce.norm."}


def plan(
    shapes: Shapes,
    *,
    fusion: Literal["sum", "max"] | None = None,
    steps: int | None = None,
    triangle: Literal["lower", "upper"] | None = None,
) -> Plan:
    """The ResNet with its gates before the sums, and for GSoP-Net2 its second-order pooling.

    Args:
        shapes: of the file's tensors, by name.
        fusion: of both gates in one residual block: `"sum"` for the attention `+`, `"max"` for `M`.
        steps: of the matrix square root of GSoP-Net2; None for the released 3.
        triangle: the order of its output, in which `fc` was trained; None for the released `"lower"`.

    Raises:
        ValueError: for both gates without a fusion, a map of positions that is not square, and another backbone.
    """
    one_of("fusion", fusion, ("sum", "max", None))
    one_of("triangle", triangle, ("lower", "upper", None))
    found = [match[1] for key in shapes if (match := re.match(r"(layer\d\.\d+)\.conv_for_DR(_spatial)?\.weight$", key))]
    gates = {residual: _attention(shapes, residual, fusion) for residual in dict.fromkeys(found)}
    if not set(gates.values()) & {"+", "M"}:
        refuse_useless({"fusion": fusion}, "none of whose residual blocks adds or compares two gates")
    if "layer_reduce.weight" not in shapes:
        refuse_useless({"steps": steps, "triangle": triangle}, "which is of GSoP-Net1 and averages its last map")
    names = {
        f"{residual}.{theirs}": f"{residual}.{_at_site(ours)}"
        for residual, attention in gates.items()
        for theirs, ours in gsop.bottleneck_names(attention).items()
        if ours is not None
    }
    backbone = {k: s for k, s in shapes.items() if ".wholeframe." not in (renamed(k, names) or "")}
    conventions = {"res5": "stride 1", "activations": "those of the released file, not of the development file"}
    conventions |= {f"fusion at {residual}": said for residual, a in gates.items() if (said := SAID.get(a))}
    pool: dict[str, Any] | None = None
    if "layer_reduce.weight" in shapes:
        pool = {
            "inner": axes(shapes, "layer_reduce.weight", 1)[0],
            "steps": steps or STEPS,
            "triangle": triangle or "lower",
        }
        conventions |= {"steps of the square root": str(pool["steps"]), "triangle": pool["triangle"]}
    return Plan(
        origin=resnet_origin(backbone, last_stride=1, pool=pool),
        blocks={f"{residual}.bn3": _block(shapes, residual, a) for residual, a in gates.items()},
        names={**names, **HEAD, "": ""},
        conventions=conventions,
        input=(3, 224, 224),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )


def _attention(shapes: Shapes, residual: str, fusion: str | None) -> str:
    """The character of the reference for the gates of a residual block."""
    channel, position = (f"{residual}.{name}.weight" in shapes for name in ("conv_for_DR", "conv_for_DR_spatial"))
    if not (channel and position):
        return "1" if channel else "2"
    if f"{residual}.bn_for_concat.weight" in shapes:
        return "&"
    if fusion is None:
        raise ValueError(
            f"the file does not show how both gates of {residual!r} are fused, because their sum and their maximum "
            "have the same tensors; give fusion='sum' for the attention '+', or fusion='max' for 'M'"
        )
    return {"sum": "+", "max": "M"}[fusion]


def _block(shapes: Shapes, residual: str, attention: str) -> GSoPChannel | GSoPPosition | GSoP:
    """The gates by the reference's constructor, with the sizes of the tensors."""
    reduce = "conv_for_DR_spatial" if attention == "2" else "conv_for_DR"
    inner, channels = axes(shapes, f"{residual}.{reduce}.weight", 2)
    arguments: dict[str, Any] = {}
    if attention != "1":
        positions = axes(shapes, f"{residual}.row_bn_for_spatial.weight", 1)[0]
        side = math.isqrt(positions)
        if side * side != positions:
            raise ValueError(
                f"the position gate of {residual!r} has {positions} positions, not a square number, and the file does "
                "not show their height and width; convert it with wf.convert.block and sp_h=, sp_w="
            )
        arguments |= {"sp_h": side, "sp_w": side}
    if attention == "&":
        _, per_group, kernel = axes(shapes, f"{residual}.dilate_conv_for_concat1.weight", 3)
        arguments |= {"groups": max(channels // per_group, 1), "conv_kernel_size": kernel}
    with torch.device("meta"):
        bottleneck = gsop.bottleneck(attention, channels, channels // 4, att_dim=inner, **arguments)
    assert isinstance(bottleneck.bn3, nn.Sequential)
    block = bottleneck.bn3[1]
    assert isinstance(block, GSoPChannel | GSoPPosition | GSoP)
    return block


def _at_site(ours: str) -> str:
    """Our name in a network, where the gates are a child of the norm, not its successor."""
    return ours.replace("bn3.0.", "bn3.").replace("bn3.1.", "bn3.wholeframe.")


SOURCE = WholeSource(
    repository="ZilinGao/Global-Second-order-Pooling-Convolutional-Networks@662a699",
    licence="MIT",
    decisive=(r"^layer\d\.\d+\.conv_for_DR(_spatial)?\.weight$",),
    plan=plan,
)
