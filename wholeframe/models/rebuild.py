"""A network from its origin: built again by the library that has it, untrained, without a download."""

from collections.abc import Callable
from typing import Any, get_args

import torch
import torchvision
from torch import nn

from wholeframe.messages import nearest, one_of, refuse_unknown
from wholeframe.models.build import BACKBONES, refuse_timm
from wholeframe.models.origin import Library, Origin, with_origin
from wholeframe.models.resnet_shaped import shaped_resnet
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.models.small_nets import DigitNet, SmallResNet
from wholeframe.models.vgg_shaped import ShapedVGG
from wholeframe.models.zoo import MODELS, create_model

SHAPED: dict[str, Callable[..., nn.Module]] = {
    "VideoResNet": VideoResNet,
    "ResNet": shaped_resnet,
    "VGG": ShapedVGG,
    "DigitNet": DigitNet,
    "SmallResNet": SmallResNet,
}
"""Networks whose sizes are arguments; files of other repositories are converted to them."""


def rebuild(origin: Origin) -> nn.Module:
    """The untrained network of an origin.

    Raises:
        ValueError: for an unknown library, name, argument or replaced module, and if timm is needed and not installed.
    """
    one_of("library", origin.library, get_args(Library))
    network = _BUILDERS[origin.library](origin.name, dict(origin.arguments))
    modules = dict(network.named_modules())
    for name in origin.replaced:
        if name not in modules:
            raise ValueError(f"{origin} has no module {name!r} to replace; {nearest(name, modules)}")
        network.set_submodule(name, nn.Identity())
    return with_origin(network, origin)


def _of_wholeframe(name: str, arguments: dict[str, Any]) -> nn.Module:
    if name in SHAPED:
        refuse_unknown(name, SHAPED[name], arguments)
        return SHAPED[name](**arguments)
    if name in BACKBONES:
        refuse_unknown(name, BACKBONES[name], arguments)
        return BACKBONES[name](**arguments)
    if name in MODELS:
        return create_model(name, **arguments)
    raise ValueError(f"wholeframe has no network {name!r}; {nearest(name, [*MODELS, *BACKBONES, *SHAPED])}")


def _of_torchvision(name: str, arguments: dict[str, Any]) -> nn.Module:
    known = torchvision.models.list_models()
    if name not in known:
        raise ValueError(f"torchvision has no model {name!r}; {nearest(name, known)}")
    try:
        return torchvision.models.get_model(name, **arguments)
    except NotImplementedError:  # RegNet computes its widths with tensors, which have no values on the meta device.
        device = torch.get_default_device()
        with torch.device("cpu"):
            return torchvision.models.get_model(name, **arguments).to(device)


def _of_timm(name: str, arguments: dict[str, Any]) -> nn.Module:
    refuse_timm(name)
    import timm

    return timm.create_model(name, pretrained=False, **arguments)


_BUILDERS = {"wholeframe": _of_wholeframe, "torchvision": _of_torchvision, "timm": _of_timm}
