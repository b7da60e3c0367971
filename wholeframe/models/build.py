"""A model by name: a host network, a block, the sites where it is attached."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torchvision
from torch import nn

from wholeframe.blocks import BLOCKS
from wholeframe.blocks.options import nearest, one_of
from wholeframe.models.small import SmallNet
from wholeframe.models.surgery import Example, insert
from wholeframe.models.zoo import MODELS

HOSTS: dict[str, Callable[[int], nn.Module]] = {
    "small": partial(SmallNet, strides=(2, 2, 2), depth=2),
    "small_dense": partial(SmallNet, strides=(1, 2, 1), dense=True),
}


@dataclass(frozen=True)
class Model:
    """Which network is trained."""

    host: str = "small"
    """small, small_dense, a network of `wholeframe models`, torchvision/NAME or timm/NAME (a bare NAME is looked for in
    torchvision, then in timm)"""
    weights: str | None = None
    """None to start at random; "DEFAULT" or a name for pretrained weights of torchvision, a tag or "DEFAULT" of timm"""
    block: str | None = "nl"
    """a name of `wholeframe blocks`, or None for the bare host"""
    at: tuple[str, ...] = ("stage3",)
    """globs over module names of the host: where the block is attached"""
    options: dict[str, Any] = field(default_factory=dict)
    """arguments of the block; on the command line, --block-options"""


def build(model: Model, classes: int, example: Example = None) -> nn.Module:
    """The network: host for `classes`, with its blocks inserted and proved."""
    network = host(model.host, classes, model.weights)
    if model.block is not None:
        insert(network, block_maker(model.block, model.options), model.at, example)
    return network


def block_maker(name: str, options: dict[str, Any]) -> Callable[[int], nn.Module]:
    """The block called `name` with these options, to be called with the channels."""
    if name not in BLOCKS:
        raise ValueError(f"there is no block {name!r}; {nearest(name, BLOCKS)}")

    def make(channels: int) -> nn.Module:
        try:
            return BLOCKS[name].make(channels, **options)
        except TypeError as error:
            raise ValueError(f"the block {name!r} does not take these options: {error}") from error

    return make


def host(name: str, classes: int, weights: str | None = None) -> nn.Module:
    """A host network by name; pretrained weights come through the loaders of their own library."""
    if name in HOSTS:
        if weights is not None:
            raise ValueError(f"there are no pretrained weights of {name!r}; give weights None")
        return HOSTS[name](classes)
    if name in MODELS:
        return _named(name, classes, weights)
    library, _, bare = name.rpartition("/")
    if library not in ("", "torchvision", "timm"):
        raise ValueError(f"there is no library {library!r} of hosts; write torchvision/{bare} or timm/{bare}")
    if library != "timm" and bare in torchvision.models.list_models():
        return _torchvision(bare, classes, weights)
    if library == "torchvision":
        raise ValueError(f"torchvision has no model {bare!r}; {nearest(bare, torchvision.models.list_models())}")
    return _timm(bare, classes, weights)


def _named(name: str, classes: int, weights: str | None) -> nn.Module:
    """A network of the zoo; pretrained weights are those of the host under its blocks."""
    network = MODELS[name]
    if weights is None:
        return network.make(classes)
    if not network.host or network.attach is None:
        raise ValueError(f"there are no pretrained weights for what stands under {name!r}; give weights None")
    below = host(network.host, classes, weights)
    network.attach(below)
    return below


def _torchvision(name: str, classes: int, weights: str | None) -> nn.Module:
    if weights is None:
        return torchvision.models.get_model(name, num_classes=classes)
    one_of("weights", weights, list(torchvision.models.get_model_weights(name).__members__))
    with _reachable(name, weights):
        network = torchvision.models.get_model(name, weights=weights)
    linears = [(path, module) for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linears:
        raise ValueError(f"{name!r} ends in no linear layer that could be replaced for {classes} classes")
    path, last = linears[-1]
    parent, _, child = path.rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Linear(last.in_features, classes))
    return network


def _timm(name: str, classes: int, weights: str | None) -> nn.Module:
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
    if weights is not None:
        tags = [tagged.partition(".")[2] for tagged in timm.list_pretrained(f"{name}.*")]
        one_of("weights", weights, ["DEFAULT", *tags])
    tagged = name if weights in (None, "DEFAULT") else f"{name}.{weights}"
    with _reachable(name, weights):
        return timm.create_model(tagged, pretrained=weights is not None, num_classes=classes)


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
