"""Files of facebookresearch/SlowFast@287ec00: `{"model_state": ..., "cfg": YAML}`, networks of one pathway.

`s1` is the stem and `s2` to `s5` the stages; residual block i of a stage is `pathway0_res<i>`, and the non-local block
after it `pathway0_nonlocal<i>`.
"""

import re
from typing import Literal

from torch import nn

from wholeframe.convert import slowfast
from wholeframe.convert.networks import video
from wholeframe.convert.plan import Plan
from wholeframe.convert.whole import WholeSource, first_match
from wholeframe.models.resnet_sites import Stride
from wholeframe.models.video_conventions import VideoConvention

BRANCHES = {
    "branch1.": "downsample.0.",
    "branch1_bn.": "downsample.1.",
    **{f"branch2.{letter}.": f"conv{n}." for n, letter in enumerate("abc", 1)},
    **{f"branch2.{letter}_bn.": f"bn{n}." for n, letter in enumerate("abc", 1)},
}
NAMES = {
    "s1.pathway0_stem.conv.": "conv1.",
    "s1.pathway0_stem.bn.": "bn1.",
    **{
        f"s{stage}.pathway0_res*.{theirs}": f"layer{stage - 1}.*.{ours}"
        for stage in (2, 3, 4, 5)
        for theirs, ours in BRANCHES.items()
    },
    **{
        f"s{stage}.pathway0_nonlocal*.{theirs}": f"layer{stage - 1}.*.wholeframe.{ours}"
        for stage in (2, 3, 4, 5)
        for theirs, ours in slowfast.NAMES.items()
    },
    "head.projection.": "fc.",
}


def plan(
    shapes: video.Shapes,
    *,
    convention: VideoConvention | None = None,
    stride: Stride = "3x3",
    pool: tuple[int, int, int] = (1, 2, 2),
    instantiation: Literal["softmax", "dot_product"] = "softmax",
    groups: int = 1,
) -> Plan:
    """A network of one pathway.

    Args:
        convention: strides and pools; None for those of its architecture, `"nopool"` for `slow`, else `"slowfast"`.
        stride: `"1x1"` for `RESNET.STRIDE_1X1`.
        pool: `NONLOCAL.POOL`.
        instantiation: `NONLOCAL.INSTANTIATION`.
        groups: `NONLOCAL.GROUP`, the number of groups of frames.
    """
    if second := first_match(r"pathway1_|_fuse\.", shapes):
        raise ValueError(
            f"the file has '{second}' of a second pathway; a SlowFast network of two pathways has no counterpart here, "
            "only networks of one (C2D, I3D, Slow)"
        )
    ours = video.ours(shapes, NAMES)
    chosen = convention or video.default_convention(ours, {"i3d": "slowfast", "c2d": "slowfast", "slowonly": "nopool"})
    found = [re.match(r"(s(\d)\.pathway0_nonlocal(\d+)\.)conv_out\.weight", key) for key in shapes]
    blocks: dict[str, nn.Module] = {}
    for match in found:
        if match:
            channels, inner = shapes[match[0]][:2]
            site = f"layer{int(match[2]) - 1}.{match[3]}"
            blocks[site] = slowfast.non_local(channels, inner, pool, instantiation, nonlocal_group=groups)
    scale = {"softmax": "1/sqrt(inner)", "dot_product": "1/keys"}[instantiation]
    return Plan(
        origin=video.backbone(ours, chosen, stride),
        blocks=blocks,
        names=NAMES,
        conventions={
            **video.geometry(chosen, stride),
            **(
                {
                    "non-local blocks": f"{instantiation}, scale {scale}, keys pooled by {pool} before phi and g, "
                    f"{groups} groups of frames"
                }
                if blocks
                else {}
            ),
        },
        mean=(0.45,) * 3,
        std=(0.225,) * 3,
    )


SOURCE = WholeSource(
    repository="facebookresearch/SlowFast@287ec00",
    licence="Apache-2.0",
    decisive=(r"^s1\.pathway0_stem\.conv\.weight$", r"^s2\.pathway0_res0\.branch2\.a\.weight$"),
    plan=plan,
)
