"""The input that a network is exported at, if the caller gives none."""

import torch
import torchvision
from torch import Tensor, nn

from wholeframe.deploy.stated import header_of
from wholeframe.models.origin import origin_of
from wholeframe.models.zoo import MODELS
from wholeframe.surgery.detectors import is_detector

IMAGE = (3, 224, 224)
CLIP = (3, 16, 112, 112)
"""of torchvision's networks for videos"""
DETECTED = (3, 480, 640)


def default_example(network: nn.Module) -> Tensor:
    """A random input of the size of its file, or that the network was published with, else an image of 224 x 224."""
    shape = sample_of(network)
    batch = () if is_detector(network) else (1,)
    x = torch.randn((*batch, *shape), generator=torch.Generator().manual_seed(0))
    weight = next((p for p in network.parameters() if p.is_floating_point()), x)
    return x.sigmoid() if is_detector(network) else x.to(weight.dtype)


def sample_of(network: nn.Module) -> tuple[int, ...]:
    """The shape of one sample of the network."""
    if is_detector(network):
        return DETECTED
    if size := getattr(header_of(network), "input", None):
        return tuple(size)
    origin = origin_of(network)
    if origin is not None and origin.library == "wholeframe" and origin.name in MODELS:
        return MODELS[origin.name].input
    config = getattr(network, "pretrained_cfg", None)
    if isinstance(config, dict) and "input_size" in config:
        return tuple(config["input_size"])
    if isinstance(network, torchvision.models.video.resnet.VideoResNet):
        return CLIP
    return IMAGE
