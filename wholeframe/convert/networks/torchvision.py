"""Files of torchvision's networks with `SqueezeExcitation`: MobileNetV3, EfficientNet and RegNetY.

The backbone is the same network, in which our block has the place of each gate: `features.4.block.2.fc1.weight` becomes
`features.4.block.2.wholeframe.multiply.reduce.weight`.
"""

import fnmatch

import torch
import torchvision
from torch import nn
from torchvision.ops import SqueezeExcitation

from wholeframe.convert import torchvision as blocks
from wholeframe.convert.networks.image import Shapes
from wholeframe.convert.plan import Plan
from wholeframe.convert.whole import WholeSource
from wholeframe.messages import nearest, quoted
from wholeframe.models.origin import Origin

FAMILIES = ("mobilenet_v3_*", "efficientnet_*", "regnet_y_*")


def plan(shapes: Shapes, *, network: str | None = None) -> Plan:
    """A network of torchvision.

    Args:
        network: its name; None for the one whose tensors have these names and shapes.
    """
    known = [name for name in torchvision.models.list_models() if any(fnmatch.fnmatch(name, f) for f in FAMILIES)]
    if network is not None and network not in known:
        raise ValueError(f"torchvision has no network {network!r} with SqueezeExcitation; {nearest(network, known)}")
    fitting = [name for name in known if _fits(name, shapes)] if network is None else [network]
    if len(fitting) != 1:
        found = f"{quoted(fitting)} have" if fitting else "no network of torchvision with SqueezeExcitation has"
        raise ValueError(f"{found} tensors of these names and shapes; give network= the name of one")
    arguments = (
        {"num_classes": shapes[f"{_classifier(fitting[0])}.weight"][0]} if _has_classes(fitting[0], shapes) else {}
    )
    theirs = _built(fitting[0])
    found = {name: module for name, module in theirs.named_modules() if type(module) is SqueezeExcitation}
    return Plan(
        origin=Origin("torchvision", fitting[0], arguments, tuple(found)),
        blocks={site: _block(module) for site, module in found.items()},
        names={
            **{f"{site}.{name}": f"{site}.wholeframe.{ours}" for site in found for name, ours in blocks.NAMES.items()},
            "": "",
        },
        conventions={"network": f"torchvision/{fitting[0]}"},
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )


def _built(network: str) -> nn.Module:
    with torch.device("meta"):
        return torchvision.models.get_model(network)


def _block(module: SqueezeExcitation) -> nn.Module:
    return blocks.squeeze_excite(
        module.fc1.in_channels, module.fc1.out_channels, type(module.activation), type(module.scale_activation)
    )


def _classifier(network: str) -> str:
    """The name of the last linear layer."""
    return [name for name, module in _built(network).named_modules() if isinstance(module, nn.Linear)][-1]


def _has_classes(network: str, shapes: Shapes) -> bool:
    return f"{_classifier(network)}.weight" in shapes


def _fits(network: str, shapes: Shapes) -> bool:
    """Whether a network has tensors of these names and shapes, for another number of classes perhaps."""
    own = {name: tensor.shape for name, tensor in _built(network).state_dict().items() if "num_batches" not in name}
    theirs = {name: shape for name, shape in shapes.items() if "num_batches" not in name}
    last = _classifier(network)
    return own.keys() == theirs.keys() and all(
        shape == theirs[name] for name, shape in own.items() if not name.startswith(f"{last}.")
    )


SOURCE = WholeSource(
    repository="pytorch/vision 0.29",
    licence="BSD-3-Clause",
    decisive=(
        r"^features\.\d+\.(\d+\.)?block\.\d+\.fc1\.weight$|^trunk_output\.block1\.block1-0\.f\.se\.fc1\.weight$",
    ),
    plan=plan,
)
