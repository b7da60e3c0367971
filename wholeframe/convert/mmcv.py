"""open-mmlab/mmcv 2.2.0, `mmcv/cnn/bricks/non_local.py` and `context_block.py`; mmdetection's and MMAction2's blocks.

Its non-local block pools after the projections, divides the logits by the root of the inner width unless
`use_scale=False`, and has no bias in the last convolution if a norm follows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from wholeframe import ops
from wholeframe.blocks import GlobalContext, NonLocal
from wholeframe.blocks.context import Fusion
from wholeframe.convert.rename import call, meaning

MODES: dict[str | None, ops.Kind] = {
    "gaussian": "gaussian",
    "embedded_gaussian": "embedded_gaussian",
    "dot_product": "dot",
    "concatenation": "concatenation",
}
NON_LOCAL = {
    "theta.conv.": "theta.",
    "phi.conv.": "phi.",
    "phi.0.conv.": "phi.",
    "g.conv.": "g.",
    "g.0.conv.": "g.",
    "concat_project.conv.": "w_f.",
    "conv_out.conv.": "out.",
    "conv_out.bn.": "norm.",
}
CONTEXT = {
    "conv_mask.": "context.logits.",
    "channel_add_conv.0.": "add.reduce.",
    "channel_add_conv.1.": "add.norm.",
    "channel_add_conv.3.": "add.expand.",
    "channel_mul_conv.0.": "multiply.reduce.",
    "channel_mul_conv.1.": "multiply.norm.",
    "channel_mul_conv.3.": "multiply.expand.",
}


def non_local(
    rank: int,
    /,
    in_channels: int,
    sub_sample: bool = False,
    conv_cfg: Mapping[str, object] | None = None,
    reduction: int = 2,
    use_scale: bool = True,
    norm_cfg: Mapping[str, object] | None = None,
    mode: str = "embedded_gaussian",
    std: float = 0.01,
    zeros_init: bool = True,
) -> NonLocal:
    """`NonLocal1d`, `NonLocal2d` or `NonLocal3d`.

    `use_scale` affects the embedded Gaussian only. Without `zeros_init` the reference draws the last layer from
    N(0, std); ours has another random distribution, which a state overwrites.
    """
    if conv_cfg not in (None, {"type": f"Conv{rank}d"}, {"type": "Conv"} if rank == 2 else None):
        raise ValueError(f"conv_cfg={conv_cfg!r} has no counterpart here; leave it out for a plain convolution")
    norm: dict[str, Any] = {"norm": None} if norm_cfg is None else call("norm_cfg", batch_norm, norm_cfg)
    return NonLocal(
        in_channels,
        inner=max(in_channels // reduction, 1),
        kind=meaning("mode", mode, MODES),
        scale="sqrt_dim" if use_scale and mode == "embedded_gaussian" else None,
        pool=2 if sub_sample else 1,
        pool_order="after",
        std=std,
        init="identity" if zeros_init else "random",
        **norm,
    )


def batch_norm(
    type: str,
    eps: float = 1e-5,
    momentum: float = 0.1,
    affine: bool = True,
    track_running_stats: bool = True,
    requires_grad: bool = True,
) -> dict[str, Any]:
    """The arguments of the block for a `norm_cfg`. In one process `SyncBN` computes the same function as `BN`."""
    meaning("norm_cfg type", type, dict.fromkeys(("BN", "BN1d", "BN2d", "BN3d", "SyncBN")))
    if not (affine and track_running_stats):
        raise ValueError(
            f"affine={affine}, track_running_stats={track_running_stats} has no counterpart here; the norm of a block "
            "has both, so leave them out"
        )
    if not requires_grad:
        raise ValueError("requires_grad=False cannot be set here; leave it out and freeze block.norm afterwards")
    return {"norm": "bn", "eps": eps, "momentum": momentum, "out_bias": False}


def context(
    in_channels: int,
    ratio: float,
    pooling_type: str = "att",
    fusion_types: Sequence[str] = ("channel_add",),
) -> GlobalContext:
    """`ContextBlock`. Its hidden width is truncated and may be 1, in which case the block adds a constant."""
    return GlobalContext(
        in_channels,
        hidden=int(in_channels * ratio),
        context=meaning("pooling_type", pooling_type, {"att": "attention", "avg": "mean"}),
        fusion=fusion(fusion_types),
    )


def fusion(fusion_types: Sequence[str]) -> Fusion:
    """The order of the two names has no effect: the reference always multiplies first."""
    fusions: dict[tuple[str, ...], Fusion] = {
        ("channel_add",): "add",
        ("channel_mul",): "multiply",
        ("channel_add", "channel_mul"): "multiply_add",
    }
    key = tuple(sorted(set(fusion_types)))
    if key not in fusions:
        raise ValueError(f"fusion_types={tuple(fusion_types)!r} must contain 'channel_add', 'channel_mul' or both")
    return fusions[key]
