"""How a named network for clips is built: a `VideoResNet`, frozen or not, and blocks at its sites."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from wholeframe.blocks import GlobalContext, NonLocal
from wholeframe.models.resnet_sites import Depth, before_last, every_other
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.models.video_conventions import Architecture, VideoConvention
from wholeframe.surgery.insert import insert
from wholeframe.surgery.norms import freeze_norms

Placement = tuple[Callable[[int], nn.Module], Sequence[str]]


def assemble(
    num_classes: int,
    *,
    architecture: Architecture,
    depth: Depth,
    convention: VideoConvention = "caffe2_org",
    frames: int = 32,
    blocks: Sequence[Placement] = (),
    frozen: bool = False,
    **options: Any,
) -> VideoResNet:
    """Build a video network and insert its blocks.

    Args:
        num_classes: width of the output.
        architecture, convention, depth: see `VideoResNet.like`.
        frames: of the clips that the network is for; `insert` checks the blocks on a clip of this length.
        blocks: each with its sites.
        frozen: whether batch norms become affine maps, before the blocks are inserted.
        options: arguments of `VideoResNet`, which take precedence over the convention.
    """
    network = VideoResNet.like(convention, architecture, depth, num_classes, **options)
    if frozen:
        freeze_norms(network)
    # A small clip keeps the check quick. Its values are small because maps grow with depth: an untrained norm in eval
    # mode normalises nothing.
    clip = 1e-3 * torch.randn(1, 3, frames, 64, 64, generator=torch.Generator().manual_seed(0))
    for block, at in blocks:
        insert(network, block, at, example=clip)
    return network


# ------------------------------------------------------------------------------------------------------------- blocks

NL_CAFFE2 = partial(NonLocal.like, "caffe2")
NL_SLOWFAST = partial(NonLocal.like, "slowfast", pool=2, init="identity")  # ZERO_INIT_FINAL_BN in its configurations
NL_MMACTION2 = partial(NonLocal.like, "mmcv", scale=None, pool=2, norm="bn", out_bias=False)
NL_TIME = partial(NL_CAFFE2, attend_over="time", pool=1)
NL_FROZEN = partial(NL_CAFFE2, norm=None)  # without a norm, W_z starts at zero
GC_RATIO_4 = partial(GlobalContext, ratio=1 / 4)  # the ratio that gives the published parameters


def one_block(block: Callable[[int], nn.Module], depth: Depth = 50) -> Placement:
    """Before the last residual block of res4."""
    return block, before_last(depth)


def five_blocks(block: Callable[[int], nn.Module], depth: Depth = 50) -> Placement:
    """Two in res3 and three in res4."""
    return block, every_other(depth)


# In the frozen networks a query of res3 sees four frames, one of res4 sees all: so in the code, not in the paper.
FROZEN_FIVE = (partial(NL_FROZEN, frames_per_group=4), every_other(50)[:2]), (NL_FROZEN, every_other(50)[2:])
