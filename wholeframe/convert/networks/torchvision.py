"""Files of torchvision's networks with `SqueezeExcitation`: MobileNetV3, EfficientNet and RegNetY.

The backbone is the same network, in which our block has the place of each gate: `features.4.block.2.fc1.weight` becomes
`features.4.block.2.wholeframe.multiply.reduce.weight`.
"""

import re

import torch
from torch import nn
from torchvision.ops import SqueezeExcitation

from wholeframe.convert import torchvision as blocks
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource
from wholeframe.messages import counted, listed, nearest
from wholeframe.models.origin import Origin
from wholeframe.models.rebuild import rebuild

NETWORKS = {  # the number of gates and the channels of the last map, a pair that differs in each
    (9, 576): "mobilenet_v3_small",
    (8, 960): "mobilenet_v3_large",
    (16, 1280): "efficientnet_b0",
    (23, 1280): "efficientnet_b1",
    (23, 1408): "efficientnet_b2",
    (26, 1536): "efficientnet_b3",
    (32, 1792): "efficientnet_b4",
    (39, 2048): "efficientnet_b5",
    (45, 2304): "efficientnet_b6",
    (55, 2560): "efficientnet_b7",
    (30, 1280): "efficientnet_v2_s",
    (44, 1280): "efficientnet_v2_m",
    (61, 1280): "efficientnet_v2_l",
    (16, 440): "regnet_y_400mf",
    (14, 784): "regnet_y_800mf",
    (27, 888): "regnet_y_1_6gf",
    (21, 1512): "regnet_y_3_2gf",
    (17, 2016): "regnet_y_8gf",
    (18, 3024): "regnet_y_16gf",
    (20, 3712): "regnet_y_32gf",
    (27, 7392): "regnet_y_128gf",
}


def plan(shapes: Shapes, *, network: str | None = None) -> Plan:
    """A network of torchvision.

    Args:
        network: its name; None to find it by its gates and its last map.
    """
    known = list(NETWORKS.values())
    if network is not None and network not in known:
        raise ValueError(f"torchvision has no network {network!r} with SqueezeExcitation; {nearest(network, known)}")
    name = network or _found(shapes)
    theirs = _built(name)
    classifier = f"{_classifier(theirs)}.weight"
    arguments = {"num_classes": shapes[classifier][0]} if classifier in shapes else {}
    gates = {site: module for site, module in theirs.named_modules() if type(module) is SqueezeExcitation}
    linear = [name for name, module in theirs.named_modules() if isinstance(module, nn.Linear)]
    absent = [name for name in linear if not any(key.startswith(f"{name}.") for key in shapes)]
    return Plan(
        origin=Origin("torchvision", name, arguments, (*gates, *absent)),
        blocks={site: _block(module) for site, module in gates.items()},
        names={
            **{
                f"{site}.{layer}": f"{site}.wholeframe.{ours}" for site in gates for layer, ours in blocks.NAMES.items()
            },
            "": "",
        },
        conventions={"network": f"torchvision/{name}"},
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )


def _found(shapes: Shapes) -> str:
    """The network with as many gates, and with as many channels in its last map."""
    gates = sum(key.endswith(".fc1.weight") for key in shapes)
    last = [
        key for key in shapes if re.match(r"features\.\d+\.0\.weight$|trunk_output\.block4\..*\.f\.c\.0\.weight$", key)
    ]
    widths = [shapes[key][0] for key in last]
    seen = (gates, max(widths, default=0))
    if seen not in NETWORKS:
        raise ValueError(
            f"no network of torchvision has {counted(gates, 'gate')} and {seen[1]} channels in its last map; give a "
            f"whole file, or network= one of {listed(NETWORKS.values())}"
        )
    return NETWORKS[seen]


def _built(network: str) -> nn.Module:
    with torch.device("meta"):
        return rebuild(Origin("torchvision", network))


def _block(module: SqueezeExcitation) -> nn.Module:
    return blocks.squeeze_excite(
        module.fc1.in_channels, module.fc1.out_channels, type(module.activation), type(module.scale_activation)
    )


def _classifier(network: nn.Module) -> str:
    """The name of the last linear layer."""
    return [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]


SOURCE = WholeSource(
    repository="pytorch/vision 0.29",
    licence="BSD-3-Clause",
    decisive=(
        r"^features\.\d+\.(\d+\.)?block\.\d+\.fc1\.weight$|^trunk_output\.block1\.block1-0\.f\.se\.fc1\.weight$",
    ),
    plan=plan,
)
