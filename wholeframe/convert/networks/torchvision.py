"""Files of torchvision's networks with `SqueezeExcitation`: MobileNetV3, EfficientNet and RegNetY.

The backbone is the same network, in which our block has the place of each gate: `features.4.block.2.fc1.weight` becomes
`features.4.block.2.wholeframe.multiply.reduce.weight`.
"""

import torch
import torchvision
from torch import nn
from torchvision.ops import SqueezeExcitation

from wholeframe.convert import torchvision as blocks
from wholeframe.convert.matched import STEPS
from wholeframe.convert.networks.image import Shapes
from wholeframe.convert.plan import Plan
from wholeframe.convert.whole import WholeSource
from wholeframe.messages import nearest, quoted
from wholeframe.models.origin import Origin
from wholeframe.models.rebuild import rebuild

REGNETS = {  # the width of the last stage, which differs in each
    440: "regnet_y_400mf",
    784: "regnet_y_800mf",
    888: "regnet_y_1_6gf",
    1512: "regnet_y_3_2gf",
    2016: "regnet_y_8gf",
    3024: "regnet_y_16gf",
    3712: "regnet_y_32gf",
    7392: "regnet_y_128gf",
}
OTHERS = ("mobilenet_v3_", "efficientnet_")


def plan(shapes: Shapes, *, network: str | None = None) -> Plan:
    """A network of torchvision.

    Args:
        network: its name; None for the one whose tensors have these names and shapes.
    """
    others = [name for name in torchvision.models.list_models() if name.startswith(OTHERS)]
    known = [*REGNETS.values(), *others]
    if network is not None and network not in known:
        raise ValueError(f"torchvision has no network {network!r} with SqueezeExcitation; {nearest(network, known)}")
    name = network or _found(shapes, others)
    theirs = _built(name)
    classifier = f"{_classifier(theirs)}.weight"
    arguments = {"num_classes": shapes[classifier][0]} if classifier in shapes else {}
    gates = {site: module for site, module in theirs.named_modules() if type(module) is SqueezeExcitation}
    return Plan(
        origin=Origin("torchvision", name, arguments, tuple(gates)),
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


def _found(shapes: Shapes, others: list[str]) -> str:
    """The network whose tensors have these names and shapes, for any number of classes."""
    if any(key.startswith("trunk_output.") for key in shapes):
        width = next((shape[1] for key, shape in shapes.items() if key == "fc.weight"), 0)
        fitting = [name for last, name in REGNETS.items() if last == width]
    else:
        fitting = [name for name in others if _fits(_built(name), shapes)]
    if len(fitting) != 1:
        found = f"{quoted(fitting)} have" if fitting else "no network of torchvision with SqueezeExcitation has"
        raise ValueError(f"{found} tensors of these names and shapes; give network= the name of one, or a whole file")
    return fitting[0]


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


def _fits(network: nn.Module, shapes: Shapes) -> bool:
    own = {name: tensor.shape for name, tensor in network.state_dict().items() if STEPS not in name}
    theirs = {name: shape for name, shape in shapes.items() if STEPS not in name}
    last = f"{_classifier(network)}."
    return own.keys() == theirs.keys() and all(own[name] == theirs[name] for name in own if not name.startswith(last))


SOURCE = WholeSource(
    repository="pytorch/vision 0.29",
    licence="BSD-3-Clause",
    decisive=(
        r"^features\.\d+\.(\d+\.)?block\.\d+\.fc1\.weight$|^trunk_output\.block1\.block1-0\.f\.se\.fc1\.weight$",
    ),
    plan=plan,
)
