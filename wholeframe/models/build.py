"""A model from a configuration: a backbone by name, a block, and the sites where it is inserted."""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torchvision
from torch import nn

from wholeframe.blocks import BLOCKS, CBAM, Entry
from wholeframe.messages import nearest, one_of, refuse_unknown
from wholeframe.models.inflate import inflate
from wholeframe.models.origin import Origin, with_origin
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.models.toy import ToyNet
from wholeframe.models.toy_clips import TOY_CLIP_NETS
from wholeframe.models.zoo import MODELS, create_model
from wholeframe.models.zoo.detection import DETECTION_MODELS
from wholeframe.surgery.insert import Example, insert

BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "small": partial(ToyNet, strides=(2, 2, 2), depth=2),
    "small_dense": partial(ToyNet, strides=(1, 2, 1), dense=True),
    **TOY_CLIP_NETS,
}

NAMED: dict[str, Entry] = {
    **BLOCKS,
    "cbam": Entry(CBAM, "z_i = y_i * sigmoid(BN(w * [mean_c y; max_c y])_i)", "Woo et al., CBAM, ECCV 2018"),
}
"""Blocks that a network can be built with: all of `BLOCKS`, and CBAM, with which papers compare theirs."""


@dataclass(frozen=True)
class ModelConfig:
    """The network that is trained."""

    backbone: str = "small"
    """small, small_dense, a network of `wholeframe models`, torchvision/NAME or timm/NAME (a bare NAME is looked up in
    torchvision, then in timm)"""
    weights: str | None = None
    """None for random weights; "DEFAULT" or a name of pretrained weights of torchvision, "DEFAULT" or a tag of timm; on
    the command line also a file, as --start takes it"""
    block: str | None = "nl"
    """a name of `wholeframe blocks`, or None for the bare backbone"""
    at: tuple[str, ...] = ("stage3",)
    """globs over module names of the backbone: the sites of the block"""
    options: dict[str, Any] = field(default_factory=dict)
    """arguments of the block; on the command line, --block-options"""

    def create(self, num_classes: int) -> nn.Module:
        """The backbone without the block, for data with this number of classes."""
        return create_backbone(self.backbone, num_classes, self.weights)


def build(model: ModelConfig, num_classes: int, example: Example = None) -> nn.Module:
    """Build the backbone of a configuration and insert its blocks.

    Args:
        model: backbone, weights, block and sites.
        num_classes: classes of the data: the width of the output; a detector adds the background.
        example: an input of the network, on which `insert` finds the sites and checks the blocks; None for an image.

    Raises:
        ValueError: for unknown names, options or sites, and for pretrained weights that cannot be fetched.
    """
    network = model.create(num_classes)
    if model.block is not None:
        insert(network, block_maker(model.block, model.options), model.at, example)
    return network


def block_maker(name: str, options: dict[str, Any]) -> Callable[[int], nn.Module]:
    """A function from channels to the block of this name with these options; ValueError for unknown ones."""
    if name not in NAMED:
        raise ValueError(f"there is no block {name!r}; {nearest(name, NAMED)}")
    entry = NAMED[name]
    refuse_unknown(f"the block {name!r}", entry.block, options)

    def build_block(channels: int) -> nn.Module:
        try:
            block = entry.make(channels, **options)
        except TypeError as error:  # a value of another type than the block computes with
            raise ValueError(f"the block {name!r} cannot be built with {options}: {error}") from error
        assert isinstance(block, nn.Module)  # Every block is one, but a protocol cannot require it.
        return block

    return build_block


def create_backbone(name: str, num_classes: int, weights: str | None = None) -> nn.Module:
    """Build a backbone by name; pretrained weights are fetched by the library that they belong to.

    Args:
        name: as `ModelConfig.backbone`.
        num_classes: width of the output. A pretrained classifier of another width is replaced by a random one.
        weights: as `ModelConfig.weights`.

    Raises:
        ValueError: for an unknown name, library or weights, and for weights that cannot be fetched.
    """
    if name in BACKBONES:
        if weights is not None:
            raise ValueError(f"there are no pretrained weights of {name!r}; give weights None")
        return with_origin(BACKBONES[name](num_classes), Origin("wholeframe", name, {"num_classes": num_classes}))
    if name in MODELS:
        return _named(name, num_classes, weights)
    library, _, bare = name.rpartition("/")
    if library not in ("", "torchvision", "timm"):
        raise ValueError(f"there is no library {library!r} of backbones; give torchvision/{bare} or timm/{bare}")
    if library != "timm" and bare in torchvision.models.list_models():
        return _torchvision(bare, num_classes, weights)
    if library == "torchvision":
        raise ValueError(f"torchvision has no model {bare!r}; {nearest(bare, torchvision.models.list_models())}")
    return _timm(bare, num_classes, weights)


def _named(name: str, num_classes: int, weights: str | None) -> nn.Module:
    """A network of the zoo; pretrained weights are those of the backbone under its blocks."""
    card = MODELS[name]
    if name in DETECTION_MODELS:
        raise ValueError(
            f"{name!r} detects objects, and here a network gives one answer per image or clip; take a classifier, such "
            f"as r50_gc, or build the detector yourself: `wf.create_model({name!r})`"
        )
    if weights is None:
        return create_model(name, num_classes)
    if len(card.input) == 4:  # a network for clips starts from a 2-D ResNet whose kernels are repeated over time
        network = create_model(name, num_classes)
        assert isinstance(network, VideoResNet)
        inflate(network, create_backbone(f"torchvision/resnet{network.depth}", num_classes, weights).state_dict())
        return network
    if not card.backbone or card.attach is None:
        raise ValueError(f"there are no pretrained weights of the backbone of {name!r}; give weights None")
    backbone = create_backbone(card.backbone, num_classes, weights)
    card.attach(backbone)
    return backbone


def _torchvision(name: str, num_classes: int, weights: str | None) -> nn.Module:
    # A network for segmentation would otherwise fetch the weights of its backbone.
    takes = inspect.signature(torchvision.models.get_model_builder(name)).parameters
    backbone = {"weights_backbone": None} if "weights_backbone" in takes else {}
    origin = Origin("torchvision", name, {"num_classes": num_classes, **backbone})
    if weights is None:
        try:
            return with_origin(torchvision.models.get_model(name, **origin.arguments), origin)
        except TypeError as error:  # optical flow
            raise ValueError(
                f"{name!r} has no classes ({error}); take a classifier, such as torchvision/resnet50"
            ) from error
    one_of("weights", weights, list(torchvision.models.get_model_weights(name).__members__))
    with reachable(name, weights):
        network = torchvision.models.get_model(name, weights=weights)
    linears = [(path, module) for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linears:
        raise ValueError(
            f"{name!r} has no linear layer to replace for {num_classes} classes; give weights None, or another backbone"
        )
    path, last = linears[-1]
    if last.out_features != num_classes:
        parent, _, child = path.rpartition(".")
        setattr(network.get_submodule(parent), child, nn.Linear(last.in_features, num_classes))
    return with_origin(network, origin)


def _timm(name: str, num_classes: int, weights: str | None) -> nn.Module:
    refuse_timm(name)
    import timm

    if weights is not None:
        tags = [tagged.partition(".")[2] for tagged in timm.list_pretrained(f"{name}.*")]
        one_of("weights", weights, ["DEFAULT", *tags])
    tagged = name if weights in (None, "DEFAULT") else f"{name}.{weights}"
    with reachable(name, weights):
        network = timm.create_model(tagged, pretrained=weights is not None, num_classes=num_classes)
    return with_origin(network, Origin("timm", tagged, {"num_classes": num_classes}))


def refuse_timm(name: str) -> None:
    """Raise ValueError if timm is not installed, or has no such model."""
    try:
        import timm
    except ImportError as error:
        raise ValueError(
            f"torchvision has no model {name!r}, and timm is not installed; install it with `uv sync --extra timm`, or "
            f"choose from torchvision: {nearest(name, torchvision.models.list_models())}"
        ) from error
    if not timm.is_model(name):
        known = [*MODELS, *torchvision.models.list_models(), *timm.list_models()]
        raise ValueError(f"neither torchvision nor timm has a model {name!r}; {nearest(name, known)}")


@contextlib.contextmanager
def reachable(name: str, weights: str | None) -> Iterator[None]:
    """Turn a failed download into an error that names the alternatives."""
    try:
        yield
    except OSError as error:  # raised by urllib and huggingface_hub without a network
        raise ValueError(
            f"the pretrained weights {weights!r} of {name!r} could not be fetched ({error}); give weights None "
            f"(--weights None) for random weights, or put the file into {torch.hub.get_dir()}/checkpoints"
        ) from error
