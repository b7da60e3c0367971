"""Every named network, and a network by its name."""

from typing import Any

from torch import nn

from wholeframe.blocks.options import nearest
from wholeframe.models.card import Network
from wholeframe.models.image_zoo import IMAGES
from wholeframe.models.video_zoo import VIDEOS

MODELS: dict[str, Network] = {**IMAGES, **VIDEOS}


def card(name: str) -> Network:
    """What is known of the network of this name. ValueError, with the nearest names, where there is none."""
    if name not in MODELS:
        raise ValueError(f"there is no network {name!r}; {nearest(name, MODELS)} (`wholeframe models` lists all)")
    return MODELS[name]


def model(name: str, classes: int | None = None, *, host: nn.Module | None = None, **options: Any) -> nn.Module:
    """The network of this name, untrained; or its blocks at their places in a host that you have.

    `model("r50_gc", host=timm.create_model("resnet50", pretrained=True))` changes that host and gives it back. Its
    modules have to be named as the network's: torchvision's and timm's ResNets are. `wholeframe models` lists the
    names.

    name: of `MODELS`.
    classes: width of the output; None for that of the published figures, 1000 or 400.
    host: None for the network's own.
    options: what references disagree about, such as `stride="1x1"` of bottleneck ResNets.

    ValueError for an unknown name, and for `classes` or `options` beside a host that is built already.
    """
    network = card(name)
    if host is None:
        return network.make(network.classes if classes is None else classes, **options)
    if classes is not None or options:
        given = ", ".join([*(["classes"] if classes is not None else []), *options])
        raise ValueError(f"{given} cannot be had in a host that is built already; build the host so, or leave host out")
    if network.attach is None:
        raise ValueError(f"{name!r} is more than blocks in a host; leave host out")
    network.attach(host)
    return host
