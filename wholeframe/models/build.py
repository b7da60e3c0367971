"""A model by name: a backbone network, a block, the sites where it is attached."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torchvision
from torch import nn

from wholeframe.blocks import BLOCKS
from wholeframe.messages import nearest, one_of
from wholeframe.models.inflate import inflate
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.models.toy import ToyNet
from wholeframe.models.zoo import MODELS
from wholeframe.surgery.insert import Example, insert

BACKBONES: dict[str, Callable[[int], nn.Module]] = {
    "small": partial(ToyNet, strides=(2, 2, 2), depth=2),
    "small_dense": partial(ToyNet, strides=(1, 2, 1), dense=True),
}


@dataclass(frozen=True)
class ModelConfig:
    """Which network is trained."""

    backbone: str = "small"
    """small, small_dense, a network of `wholeframe models`, torchvision/NAME or timm/NAME (a bare NAME is looked for in
    torchvision, then in timm)"""
    weights: str | None = None
    """None to start at random; "DEFAULT" or a name for pretrained weights of torchvision, a tag or "DEFAULT" of timm"""
    block: str | None = "nl"
    """a name of `wholeframe blocks`, or None for the bare backbone"""
    at: tuple[str, ...] = ("stage3",)
    """globs over module names of the backbone: where the block is attached"""
    options: dict[str, Any] = field(default_factory=dict)
    """arguments of the block; on the command line, --block-options"""


def build(model: ModelConfig, num_classes: int, example: Example = None) -> nn.Module:
    """The network: backbone for `classes`, with its blocks inserted and proved."""
    network = create_backbone(model.backbone, num_classes, model.weights)
    if model.block is not None:
        insert(network, block_maker(model.block, model.options), model.at, example)
    return network


def block_maker(name: str, options: dict[str, Any]) -> Callable[[int], nn.Module]:
    """The block called `name` with these options, to be called with the channels."""
    if name not in BLOCKS:
        raise ValueError(f"there is no block {name!r}; {nearest(name, BLOCKS)}")

    def make(channels: int) -> nn.Module:
        try:
            block = BLOCKS[name].make(channels, **options)
        except TypeError as error:
            raise ValueError(f"the block {name!r} does not take these options: {error}") from error
        assert isinstance(block, nn.Module)
        return block

    return make


def create_backbone(name: str, num_classes: int, weights: str | None = None) -> nn.Module:
    """A backbone network by name; pretrained weights come through the loaders of their own library.

    Their last layer is kept where it has as many classes, and otherwise begins anew.
    """
    if name in BACKBONES:
        if weights is not None:
            raise ValueError(f"there are no pretrained weights of {name!r}; give weights None")
        return BACKBONES[name](num_classes)
    if name in MODELS:
        return _named(name, num_classes, weights)
    library, _, bare = name.rpartition("/")
    if library not in ("", "torchvision", "timm"):
        raise ValueError(f"there is no library {library!r} of backbones; write torchvision/{bare} or timm/{bare}")
    if library != "timm" and bare in torchvision.models.list_models():
        return _torchvision(bare, num_classes, weights)
    if library == "torchvision":
        raise ValueError(f"torchvision has no model {bare!r}; {nearest(bare, torchvision.models.list_models())}")
    return _timm(bare, num_classes, weights)


def _named(name: str, num_classes: int, weights: str | None) -> nn.Module:
    """A network of the zoo; pretrained weights are those of the backbone under its blocks."""
    network = MODELS[name]
    if weights is None:
        return network.make(num_classes)
    if len(network.input) == 4:  # a network for clips begins as its 2-D parent, repeated over time
        made = network.make(num_classes)
        assert isinstance(made, VideoResNet)
        inflate(made, create_backbone(f"torchvision/resnet{made.depth}", num_classes, weights).state_dict())
        return made
    if not network.backbone or network.attach is None:
        raise ValueError(f"there are no pretrained weights for what stands under {name!r}; give weights None")
    below = create_backbone(network.backbone, num_classes, weights)
    network.attach(below)
    return below


def _torchvision(name: str, num_classes: int, weights: str | None) -> nn.Module:
    if weights is None:
        return torchvision.models.get_model(name, num_classes=num_classes)
    one_of("weights", weights, list(torchvision.models.get_model_weights(name).__members__))
    with _reachable(name, weights):
        network = torchvision.models.get_model(name, weights=weights)
    linears = [(path, module) for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linears:
        raise ValueError(f"{name!r} ends in no linear layer that could be replaced for {num_classes} classes")
    path, last = linears[-1]
    if last.out_features != num_classes:
        parent, _, child = path.rpartition(".")
        setattr(network.get_submodule(parent), child, nn.Linear(last.in_features, num_classes))
    return network


def _timm(name: str, num_classes: int, weights: str | None) -> nn.Module:
    refuse_timm(name)
    import timm

    if weights is not None:
        tags = [tagged.partition(".")[2] for tagged in timm.list_pretrained(f"{name}.*")]
        one_of("weights", weights, ["DEFAULT", *tags])
    tagged = name if weights in (None, "DEFAULT") else f"{name}.{weights}"
    with _reachable(name, weights):
        return timm.create_model(tagged, pretrained=weights is not None, num_classes=num_classes)


def refuse_timm(name: str) -> None:
    """ValueError if timm is not there, or has no such model."""
    try:
        import timm
    except ImportError as error:
        raise ValueError(
            f"torchvision has no model {name!r}, and timm is not installed; `uv sync --extra timm` brings it, or: "
            f"{nearest(name, torchvision.models.list_models())}"
        ) from error
    if not timm.is_model(name):
        known = [*MODELS, *torchvision.models.list_models(), *timm.list_models()]
        raise ValueError(f"neither torchvision nor timm has a model {name!r}; {nearest(name, known)}")


@contextlib.contextmanager
def _reachable(name: str, weights: str | None) -> Iterator[None]:
    """Turn a failed download into a sentence."""
    try:
        yield
    except OSError as error:  # what urllib and huggingface_hub raise without a network
        raise ValueError(
            f"the pretrained weights {weights!r} of {name!r} could not be fetched ({error}); give weights None "
            f"(--weights None) to start at random, or put the file into {torch.hub.get_dir()}/checkpoints"
        ) from error
