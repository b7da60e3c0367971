"""Files of open-mmlab/mmpretrain (mmcls before): SE-ResNets, `backbone.layer1.0.se_layer.conv1.conv.*`."""

import re

from wholeframe.convert import mmpretrain
from wholeframe.convert.networks import openmmlab
from wholeframe.convert.networks.image import OutputStride, Style
from wholeframe.convert.networks.openmmlab import Found
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource


def plan(shapes: Shapes, *, style: Style = "pytorch", output_stride: OutputStride = 32) -> Plan:
    """A ResNet or ResNeXt whose residual blocks all have a gate before the sum.

    Args:
        style: `"caffe"` halves the map in the first convolution of a bottleneck.
        output_stride: below 32, the last stages dilate their kernels instead of halving the map.
    """
    found = {}
    for key in shapes:
        if match := re.match(r"(.+\.se_layer)\.conv1\.conv\.weight$", key):
            hidden, channels = shapes[key][:2]
            biased = f"{match[1]}.conv1.conv.bias" in shapes
            block = mmpretrain.squeeze_excite(channels, hidden, bias="auto" if biased else False)
            found[match[1]] = Found(block, channels, mmpretrain.NAMES)
    return openmmlab.plan_of(
        shapes,
        found,
        style=style,
        output_stride=output_stride,
        conventions={"gates": "ReLU between the layers, a sigmoid after them, before the sum"},
    )


SOURCE = WholeSource(
    repository="open-mmlab/mmpretrain",
    licence="Apache-2.0",
    decisive=(r"^(backbone\.)?layer\d\.\d+\.se_layer\.conv1\.conv\.weight$",),
    plan=plan,
    stated=lambda entries: {k: v for k, v in openmmlab.stated(entries).items() if k in ("style", "output_stride")},
)
