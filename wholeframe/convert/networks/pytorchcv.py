"""osmr/imgclsmob (pytorchcv), `isqrtcovresnet*`: iSQRT-COV with 5 steps and the upper triangle."""

import re
from typing import Any

from wholeframe.convert.networks.resnet_shapes import axes, resnet_origin
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.rename import renamed
from wholeframe.convert.whole import WholeSource
from wholeframe.messages import one_of
from wholeframe.models.resnet_sites import Stride

NAMES = {
    "features.init_block.conv.conv.": "conv1.",
    "features.init_block.conv.bn.": "bn1.",
    "features.final_block.conv.": "avgpool.reduce.linear.",
    "features.final_block.bn.": "avgpool.reduce.norm.",
    "output.": "fc.",
}
UNIT = {
    **{
        f"body.conv{n}.{theirs}.": f"{ours}{n}." for n in (1, 2, 3) for theirs, ours in (("conv", "conv"), ("bn", "bn"))
    },
    "identity_conv.conv.": "downsample.0.",
    "identity_conv.bn.": "downsample.1.",
}


def plan(shapes: Shapes, *, stride: Stride | None = None, steps: int = 5) -> Plan:
    """The ResNet with `ISqrtCov` in the place of its pooling.

    Args:
        shapes: of the file's tensors, by name.
        stride: the convolution of a bottleneck that halves the map: `"1x1"` in `isqrtcovresnet50` and
            `isqrtcovresnet101`, `"3x3"` in those whose names end in `b`. Basic blocks have none.
        steps: of the matrix square root.

    Raises:
        ValueError: for bottlenecks without a stride.
    """
    names = dict(NAMES)
    for key in shapes:
        if unit := re.match(r"features\.stage(\d+)\.unit(\d+)\.", key):
            residual = f"layer{unit[1]}.{int(unit[2]) - 1}."
            names |= {unit[0] + theirs: residual + ours for theirs, ours in UNIT.items()}
    bottleneck = "features.stage1.unit1.body.conv3.conv.weight" in shapes
    one_of("stride", stride, ("1x1", "3x3", None))
    if bottleneck and stride is None:
        raise ValueError(
            "the file does not show which convolution of a bottleneck halves the map; give stride='1x1' for "
            "isqrtcovresnet50 and isqrtcovresnet101, or stride='3x3' for those whose names end in b"
        )
    backbone = {renamed(key, names) or key: shape for key, shape in shapes.items()}
    pool: dict[str, Any] = {
        "inner": axes(shapes, "features.final_block.conv.weight", 1)[0],
        "steps": steps,
        "triangle": "upper",
    }
    return Plan(
        origin=resnet_origin(backbone, stride=stride or "3x3", last_stride=1, pool=pool),
        blocks={},
        names=names,
        conventions={
            "stride": str(stride),
            "res5": "stride 1",
            "steps of the square root": str(steps),
            "triangle": "upper",
        },
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )


SOURCE = WholeSource(
    repository="osmr/imgclsmob@6833592",
    licence="MIT",
    decisive=(r"^features\.final_block\.conv\.weight$", r"^features\.stage\d+\.unit\d+\.body\."),
    plan=plan,
)
