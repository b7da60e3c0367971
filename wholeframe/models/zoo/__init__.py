"""All named networks, and how to build one by its name."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from wholeframe.messages import did_you_mean, nearest
from wholeframe.models.origin import Origin, with_origin
from wholeframe.models.zoo.card import Card
from wholeframe.models.zoo.detection import DETECTION_MODELS
from wholeframe.models.zoo.image import IMAGE_MODELS
from wholeframe.models.zoo.video import VIDEO_MODELS

MODELS: dict[str, Card] = {**IMAGE_MODELS, **VIDEO_MODELS, **DETECTION_MODELS}


def card_of(name: str) -> Card:
    """The card of a named network.

    Raises:
        ValueError: for an unknown name; the message has the nearest ones.
    """
    if not isinstance(name, str):
        raise ValueError(
            f"name={name!r} must be the name of a network, such as 'r50_gc' (`wholeframe models` lists all)"
        )
    if name not in MODELS:
        raise ValueError(f"there is no network {name!r}; {nearest(name, MODELS)} (`wholeframe models` lists all)")
    return MODELS[name]


def create_model(
    name: str, num_classes: int | None = None, *, backbone: nn.Module | None = None, **options: Any
) -> nn.Module:
    """Build a named network, untrained; or insert its blocks into a backbone that you have built.

        create_model("r50_gc", 10)
        create_model("r50_gc", backbone=timm.create_model("resnet50", pretrained=True))
        create_model("maskrcnn_r50_gc", backbone=maskrcnn_resnet50_fpn(weights="DEFAULT"))

    Args:
        name: a key of `MODELS`; `wholeframe models` lists them.
        num_classes: width of the output; None for that of the published figures, 1000 or 400. Detectors count the
            background as a class, as torchvision does: 81 for COCO.
        backbone: a network with the module names of torchvision's or timm's ResNets, or of torchvision's detectors;
            changed in place.
        options: points on which references disagree, such as `stride="1x1"` for ResNets with bottlenecks.

    Returns:
        The network, or the given backbone with the blocks in it.

    Raises:
        ValueError: for an unknown name or option, a value of the wrong type, and for `num_classes` or `options`
            together with a backbone.
    """
    card = card_of(name)
    _refuse_options(name, options, ("num_classes", "backbone", *card.options))
    _refuse_types(num_classes, backbone)
    if backbone is None:
        classes = card.num_classes if num_classes is None else num_classes
        return with_origin(
            card.make(classes, **options), Origin("wholeframe", name, {"num_classes": classes, **options})
        )
    if num_classes is not None or options:
        given = ", ".join([*(["num_classes"] if num_classes is not None else []), *options])
        raise ValueError(
            f"{given} cannot be changed in a backbone that is already built; build the backbone with it, or leave "
            "backbone out"
        )
    if card.attach is None:
        raise ValueError(f"the blocks of {name!r} cannot be inserted into another backbone; leave backbone out")
    card.attach(backbone)
    return backbone


def _refuse_options(name: str, options: Iterable[str], known: Sequence[str]) -> None:
    for option in options:
        if option not in known:
            hint = did_you_mean(option, known)
            raise ValueError(f"create_model({name!r}) has no argument {option!r}{hint} (it takes {', '.join(known)})")


def _refuse_types(num_classes: object, backbone: object) -> None:
    if num_classes is not None and (type(num_classes) is not int or num_classes < 1):
        raise ValueError(f"num_classes={num_classes!r} must be an integer of at least 1, such as num_classes=10")
    if backbone is not None and not isinstance(backbone, nn.Module):
        raise ValueError(
            f"backbone={backbone!r} must be a network that is already built, such as torchvision.models.resnet50(); "
            "leave it out for the network's own backbone"
        )
