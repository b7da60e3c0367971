"""Files of moskomule/senet.pytorch@8cb2669: ResNets of torchvision with `layer1.0.se.fc.0.*`, without biases."""

import re

from wholeframe.blocks import SqueezeExcite
from wholeframe.convert import senet
from wholeframe.convert.networks import openmmlab
from wholeframe.convert.networks.openmmlab import Found
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource


def plan(shapes: Shapes) -> Plan:
    """`se_resnet18` to `se_resnet152`, with a gate before every sum; of other networks the blocks alone."""
    found = {}
    for key in shapes:
        if match := re.match(r"(.+\.se)\.fc\.0\.weight$", key):
            hidden, channels = shapes[key][:2]
            biased = f"{match[1]}.fc.0.bias" in shapes  # in forks
            found[match[1]] = Found(SqueezeExcite(channels, hidden=hidden, bias=biased), channels, senet.NAMES)
    return openmmlab.plan_of(
        shapes,
        found,
        style="pytorch",
        output_stride=32,
        conventions={"gates": "ReLU between the layers, a sigmoid after them, before the sum"},
    )


SOURCE = WholeSource(
    repository="moskomule/senet.pytorch@8cb2669",
    licence="MIT",
    decisive=(r"^layer1\.0\.se\.fc\.0\.weight$", r"^layer1\.0\.se\.fc\.2\.weight$"),
    plan=plan,
)
