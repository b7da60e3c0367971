"""The input that a network takes: its kind, its size, its normalisation, and a small example of it."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from wholeframe.data.images import MEAN, STD
from wholeframe.models.origin import Origin
from wholeframe.models.zoo import MODELS
from wholeframe.store.header import Kind
from wholeframe.surgery.detectors import is_detector
from wholeframe.surgery.probe import Call, as_call, outputs

IMAGE = (224, 224)
FRAMES = 16
"""in a clip of torchvision's networks for videos"""
SMALL = 64
"""The side of an example for networks that take any size."""
KINDS: dict[int, Kind] = {3: "image", 4: "clip"}
"""axes of a sample -> what it is"""


def kind_of(network: nn.Module, size: Sequence[int] | None) -> Kind:
    """The kind of input, from the shape of one sample."""
    if is_detector(network):
        return "detector"
    return KINDS.get(len(size or ()), "other")


def usual_size(network: nn.Module, origin: Origin | None) -> tuple[int, ...] | None:
    """The shape of one sample that the library states; None for a detector, which scales its input itself."""
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
        return (channels, side, side) if isinstance(side, int) else (channels, FRAMES, *side)
    return (channels, *IMAGE)


def usual_colours(network: nn.Module, origin: Origin | None) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """The mean and standard deviation that timm or torchvision states; None where nothing does."""
    config: Any = getattr(network, "pretrained_cfg", None)
    if isinstance(config, dict) and "mean" in config and "std" in config:
        return tuple(config["mean"]), tuple(config["std"])
    if origin is not None and origin.library == "torchvision" and not is_detector(network):
        return MEAN, STD
    return None


def small_call(network: nn.Module, size: Sequence[int] | None) -> tuple[Call, list[Tensor]]:
    """The smallest of a few examples that the network takes, and its outputs.

    Raises:
        ValueError: if it takes none.
    """
    failed: Exception | None = None
    for shape in _shapes(size):
        call = as_call(network, None if shape is None else random(network, shape))
        try:
            with eagerly():
                return call, outputs(network, call)
        except Exception as error:  # The network's own code says in any way that it does not take this size.
            failed = error
    shown = "the default image" if size is None else f"a sample of {' x '.join(map(str, size))}"
    raise ValueError(
        f"the network does not run on {shown} ({type(failed).__name__}: {failed}), so the file cannot be proved; give "
        "input=, the shape of one sample, such as (3, 224, 224) or (3, 32, 224, 224)"
    )


def eagerly() -> contextlib.AbstractContextManager[Any]:
    """Run compiled parts as Python. Without the compiler there are none, and its import takes seconds."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else contextlib.nullcontext()


def random(network: nn.Module, shape: Sequence[int]) -> Tensor:
    """A batch of one random sample on the device and in the dtype of the weights."""
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    return x.to(next((p for p in network.parameters() if p.is_floating_point()), x))


def _shapes(size: Sequence[int] | None) -> Iterator[Sequence[int] | None]:
    if size is None:
        yield None
        return
    if len(size) >= 3 and min(size[-2:]) > SMALL:
        yield (*size[:-2], SMALL, SMALL)
    yield size
