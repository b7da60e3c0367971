"""The input that a network was published with: the size of one sample, and the mean and standard deviation."""

from typing import Any

import torchvision
from torch import nn
from torchvision.models.video.resnet import VideoResNet

from wholeframe.data.images import MEAN, STD
from wholeframe.models.origin import Origin
from wholeframe.models.zoo import MODELS
from wholeframe.surgery.detectors import is_detector

IMAGE = (224, 224)
CLIP = (16, 112, 112)
"""of torchvision's networks for videos"""


def usual_size(network: nn.Module, origin: Origin | None) -> tuple[int, ...] | None:
    """The shape of one sample.

    Args:
        network: any network.
        origin: how it is built; None where nothing says so.

    Returns:
        The shape of the network's card or configuration, else of a clip for torchvision's networks for videos, and of
        an image of 224 x 224 for all others; None for a detector, which scales its input itself.
    """
    if is_detector(network):
        return None
    if origin is not None and origin.library == "wholeframe" and origin.name in MODELS:
        return MODELS[origin.name].input
    stem = next((m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)), None)
    channels = 3 if stem is None else stem.in_channels
    config: Any = getattr(network, "pretrained_cfg", None)
    if isinstance(config, dict) and "input_size" in config:
        return (channels, *config["input_size"][1:])
    if origin is not None and origin.library == "torchvision":
        crop = torchvision.models.get_model_weights(origin.name)
        sizes = next(iter(crop)).transforms.keywords.get("crop_size", 224) if len(crop) else 224
        side = getattr(network, "image_size", sizes)  # a vision transformer is built for one size
        return (channels, side, side) if isinstance(side, int) else (channels, CLIP[0], *side)
    return (channels, *(CLIP if isinstance(network, VideoResNet) else IMAGE))


def usual_colours(network: nn.Module, origin: Origin | None) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """The mean and standard deviation that timm or torchvision states; None where nothing does."""
    config: Any = getattr(network, "pretrained_cfg", None)
    if isinstance(config, dict) and "mean" in config and "std" in config:
        return tuple(config["mean"]), tuple(config["std"])
    if origin is not None and origin.library == "torchvision" and not is_detector(network):
        return MEAN, STD
    return None
