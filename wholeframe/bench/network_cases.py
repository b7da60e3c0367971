"""The networks that `wholeframe bench --networks` measures, with their goals and peers as data."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torchvision
from torch import nn

from wholeframe import convert
from wholeframe.blocks import GlobalContext, NonLocal
from wholeframe.messages import nearest
from wholeframe.models.resnet_image import ResNetPlan
from wholeframe.models.resnet_sites import branches, every_other
from wholeframe.models.zoo import MODELS
from wholeframe.models.zoo.detection import DETECTION_MODELS
from wholeframe.surgery.insert import insert
from wholeframe.surgery.record import blocks_of

IMAGE = 3, 224, 224


@dataclass(frozen=True)
class Limits:
    """Upper limits of the ratio ours / plain backbone; None where there is no goal.

    Args:
        inference: of the time of a forward pass.
        training: of the time of a training step.
        memory: of the peak memory of a training step.
        fused: of the time of a forward pass after `wf.fuse` of both networks.
    """

    inference: float | None = None
    training: float | None = None
    memory: float | None = None
    fused: float | None = None


@dataclass(frozen=True)
class Peer:
    """The same network with the blocks of another package.

    Args:
        package: whose blocks, as the table shows it.
        reference: the peer's block, a key of `wholeframe.bench.case.PEERS`.
        arguments: channels -> the arguments of its constructor.
        network: builds the peer's own network with its blocks; None puts them after the same sites of our backbone.
        part: in its own network, the name of the block next to our site: "se" for `layer1.0.se` and `layer1.0.bn3`.
    """

    package: str
    reference: str
    arguments: Callable[[int], dict[str, Any]]
    network: Callable[[], nn.Module] | None = None
    part: str = ""

    def block(self, channels: int) -> nn.Module:
        """Our block with the peer's arguments."""
        return convert.block(self.reference, self.arguments(channels))


@dataclass(frozen=True)
class NetworkCase:
    """One network with inserted blocks. Its plain backbone is the same network without them.

    Args:
        name: as the command line takes it.
        sample: shape of one input, without the batch.
        make: builds the network with random weights; raises ImportError where its library is not installed.
        limits: the goals.
        peer: the same network of another package; None where there is none.
    """

    name: str
    sample: tuple[int, ...]
    make: Callable[[], nn.Module]
    limits: Limits = field(default_factory=Limits)
    peer: Peer | None = None


def zoo(name: str, limits: Limits = Limits(), peer: Peer | None = None) -> NetworkCase:
    """A network of `wholeframe models` at its published input."""
    card = MODELS[name]
    return NetworkCase(name, card.input, partial(card.make, card.num_classes), limits, peer)


def inserted(
    backbone: Callable[[], nn.Module], block: Callable[[int], nn.Module], at: tuple[str, ...]
) -> Callable[[], nn.Module]:
    """Builds a backbone of a library and inserts blocks."""

    def make() -> nn.Module:
        network = backbone()
        insert(network, block, at)
        return network

    return make


def timm_network(name: str, **options: Any) -> Callable[[], nn.Module]:
    """Builds an untrained network of timm, which is imported when it is built."""
    # By default the last gain of every branch starts at zero, so no block in a branch would have an effect.
    return lambda: importlib.import_module("timm").create_model(name, zero_init_last=False, **options)


def _in_timm(name: str, peer: Peer) -> NetworkCase:
    """Our blocks in timm's ResNet-50, in all 16 branches, against timm's own network with its blocks there."""
    return NetworkCase(name, IMAGE, inserted(timm_network("resnet50"), peer.block, branches(50, 2, 3, 4, 5)), peer=peer)


MMCV_GC = Peer("mmcv", "mmcv.ContextBlock", lambda channels: {"in_channels": channels, "ratio": 1 / 16})
MMCV_NL = Peer(
    "mmcv",
    "mmcv.NonLocal2d",
    lambda channels: {"in_channels": channels, "sub_sample": True, "norm_cfg": {"type": "BN"}},
)
TIMM_SE = Peer("timm", "timm.SEModule", lambda channels: {"channels": channels})
TIMM_SE_NETWORK = Peer("timm", "timm.SEModule", TIMM_SE.arguments, timm_network("seresnet50"), "se")
TIMM_GC_NETWORK = Peer(
    "timm",
    "timm.GlobalContext",
    lambda channels: {"channels": channels, "fuse_add": True, "fuse_scale": False},
    timm_network("resnet50", block_args={"attn_layer": "gca"}),
    "se",
)
PYTORCHVIDEO_NL = Peer(
    "pytorchvideo",
    "pytorchvideo.create_nonlocal",
    lambda channels: {"dim_in": channels, "dim_inner": channels // 2, "pool_size": (1, 2, 2)},
)
POOLED = partial(NonLocal, scale="sqrt_dim", pool=2, out_bias=False)

NETWORKS: dict[str, NetworkCase] = {
    case.name: case
    for case in (
        zoo("r50_gc", Limits(1.03, 1.05, 1.02, fused=1.02), MMCV_GC),
        zoo("r50_se", Limits(1.03, 1.06, 1.02), TIMM_SE),
        NetworkCase(
            "r50_nl5_pooled",
            IMAGE,
            ResNetPlan(50, POOLED, every_other(50)),
            Limits(1.35, 1.35, 1.15),
            MMCV_NL,
        ),
        zoo("r50_cgnl1", Limits(1.03, 1.05, 1.1)),
        zoo("r50_cgnl5", Limits(1.25, 1.3, 1.1)),
        replace(zoo("i3d_r50_nl5", Limits(1.35, 1.35, 1.15), PYTORCHVIDEO_NL), sample=(3, 8, 224, 224)),
        _in_timm("timm_r50_gc", TIMM_GC_NETWORK),
        _in_timm("timm_r50_se", TIMM_SE_NETWORK),
        NetworkCase(
            "convnext_tiny_gc",
            IMAGE,
            inserted(torchvision.models.convnext_tiny, GlobalContext, ("features.5.*",)),
        ),
    )
}
"""The rows of the table of goals (ResNet-50 at 224, I3D on 8 frames), and our blocks in other libraries' backbones"""


def chosen(names: tuple[str, ...]) -> list[NetworkCase]:
    """The cases of these names, all of `NETWORKS` without any; other networks of `wholeframe models` have no goals.

    Raises:
        ValueError: for an unknown name, a detector, and a network without inserted blocks.
    """
    return [_named(name) for name in names] or list(NETWORKS.values())


def _named(name: str) -> NetworkCase:
    if name in NETWORKS:
        return NETWORKS[name]
    if name in DETECTION_MODELS:
        raise ValueError(
            f"{name!r} is a detector, whose pass depends on what is in the image; measure it with `wholeframe cost "
            f"{name} --measure`, and here give a classifier, such as r50_gc"
        )
    if name not in MODELS:
        raise ValueError(f"there is no network {name!r} to measure; {nearest(name, [*NETWORKS, *MODELS])}")
    return zoo(name)


def refuse_plain(name: str, network: nn.Module) -> None:
    """Raise ValueError for a network without inserted blocks, which has no plain backbone to compare with."""
    if not blocks_of(network):
        raise ValueError(
            f"{name!r} has no inserted blocks, so there is no plain backbone to compare it with; give a network with "
            "blocks, such as r50_gc"
        )
