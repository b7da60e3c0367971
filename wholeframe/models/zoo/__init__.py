"""Every named network, and a network by its name."""

from typing import Any

from torch import nn

from wholeframe.messages import nearest, refuse_unknown
from wholeframe.models.zoo.card import Card
from wholeframe.models.zoo.image import IMAGES
from wholeframe.models.zoo.video import VIDEOS

MODELS: dict[str, Card] = {**IMAGES, **VIDEOS}


def card_of(name: str) -> Card:
    """What is known of the network of this name. ValueError, with the nearest names, where there is none."""
    if name not in MODELS:
        raise ValueError(f"there is no network {name!r}; {nearest(name, MODELS)} (`wholeframe models` lists all)")
    return MODELS[name]


def create_model(
    name: str, num_classes: int | None = None, *, backbone: nn.Module | None = None, **options: Any
) -> nn.Module:
    """The network of this name, untrained; or its blocks at their places in a backbone that you have.

    `model("r50_gc", backbone=timm.create_model("resnet50", pretrained=True))` changes that backbone and gives it back. Its
    modules have to be named as the network's: torchvision's and timm's ResNets are. `wholeframe models` lists the
    names.

    name: of `MODELS`.
    num_classes: width of the output; None for that of the published figures, 1000 or 400.
    backbone: None for the network's own.
    options: what references disagree about, such as `stride="1x1"` of bottleneck ResNets.

    ValueError for an unknown name, and for `num_classes` or `options` beside a backbone that is built already.
    """
    network = card_of(name)
    if backbone is None:
        refuse_unknown(f"the network {name!r}", network.make, options)
        return network.make(network.num_classes if num_classes is None else num_classes, **options)
    if num_classes is not None or options:
        given = ", ".join([*(["num_classes"] if num_classes is not None else []), *options])
        raise ValueError(
            f"{given} cannot be had in a backbone that is built already; build the backbone so, or leave backbone out"
        )
    if network.attach is None:
        raise ValueError(f"{name!r} is more than blocks in a backbone; leave backbone out")
    network.attach(backbone)
    return backbone
