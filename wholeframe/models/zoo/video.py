"""The published networks for clips by name.

A name reads `host_depth[_block][_variant][_source]`:

- backbone: `c2d`, `i3d` (3x1x1), `i3d333` (3x3x3), `slowonly`; depth: `r18` to `r152`;
- block: `nl`, `snl`, `gc`, `se`, `cgnl` with the number of blocks, or without one for all blocks of res3 to res5;
- variant: the pairwise function (`gaussian`, `dot`, `concatenation`), what a query sees (`space`, `time`), the stage
  of a single block (`res2`, `res3`, `res5`), or `nopool`;
- source: nothing for the geometry of the released 32-frame networks (and of GCNet's table for Slow-only); the clip as
  frames x stride for the other released ones (`8x8`, `32x4`, `128x1`); `slowfast` or `mmaction2` for theirs.

Where blocks are: a single one right before the last block of its stage; five of them in res3 and res4 after every
other block; ten after every block of both. For ResNet-101 the released code spreads the three of res4 over its 23
blocks, PySlowFast keeps them after the second, fourth and sixth: `i3d_r101_nl5` and `i3d_r101_nl5_slowfast`. Ten blocks
in a ResNet-101 are in the paper's table 2c, but neither text nor code says where, so there is no such name.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from wholeframe.blocks import CGNL, GlobalContext, NonLocal, SimplifiedNonLocal, SqueezeExcite
from wholeframe.messages import refuse_unknown
from wholeframe.models.resnet_image import Depth, all_of_res3_and_res4, before_last, branches, every_other
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.models.video_conventions import Convention, VideoBackbone
from wholeframe.models.zoo.card import Card, Published
from wholeframe.surgery.insert import insert
from wholeframe.surgery.norms import freeze_norms

Placed = tuple[Callable[[int], nn.Module], Sequence[str]]


def assemble(
    num_classes: int,
    *,
    backbone: VideoBackbone,
    depth: Depth,
    convention: Convention = "caffe2_org",
    frames: int = 32,
    blocks: Sequence[Placed] = (),
    frozen: bool = False,
    **options: Any,
) -> VideoResNet:
    """A backbone with its blocks inserted and proved; `frozen` makes its batch norms affine maps first.

    frames: of the clip that the proof is made on, as many as the network is for.
    options: arguments of `VideoResNet` that win over the convention.
    """
    refuse_unknown("VideoResNet", VideoResNet, options)
    network = VideoResNet.like(convention, backbone, depth, num_classes, **options)
    if frozen:
        freeze_norms(network)
    # Small, so that the proof is quick, and faint: in eval mode a fresh norm does nothing, so maps grow with depth.
    clip = 1e-3 * torch.randn(1, 3, frames, 64, 64, generator=torch.Generator().manual_seed(0))
    for block, at in blocks:
        insert(network, block, at, example=clip)
    return network


# ------------------------------------------------------------------------------------------------------------- blocks

NL = partial(NonLocal.like, "caffe2")
NL_SLOWFAST = partial(NonLocal.like, "slowfast", pool=2, init="identity")  # ZERO_INIT_FINAL_BN in its configurations
NL_MMACTION2 = partial(NonLocal.like, "mmcv", scale=None, pool=2, norm="bn", out_bias=False)
NL_TIME = partial(NL, attend_over="time", pool=1)
NL_FROZEN = partial(NL, norm=None)  # so W_z starts at zero
GC = partial(GlobalContext, ratio=1 / 4)  # the ratio that fits the published parameters


def one(block: Callable[[int], nn.Module], depth: Depth = 50) -> Placed:
    return block, before_last(depth)


def five(block: Callable[[int], nn.Module], depth: Depth = 50) -> Placed:
    return block, every_other(depth)


# The frozen networks look at four frames at a time in res3 and at all of them in res4: the code, not the paper.
FROZEN_FIVE = (partial(NL_FROZEN, frames_per_group=4), every_other(50)[:2]), (NL_FROZEN, every_other(50)[2:])

# -------------------------------------------------------------------------------------------------------------- cards

CLIP, CLIP8, CLIP128 = (3, 32, 224, 224), (3, 8, 224, 224), (3, 128, 224, 224)
TEST, TEST8, TEST4 = (3, 32, 256, 256), (3, 8, 256, 256), (3, 4, 256, 256)
CAFFE2 = "facebookresearch/video-nonlocal-net"
SLOWFAST = "facebookresearch/SlowFast"
MMACTION2 = "open-mmlab/mmaction2"
CAO = "Cao et al., GCNet (arXiv 1904.11492), table 5"

NORMS = "two operations for every number that a batch norm gives count there as well; with them ours is the same"
UNKNOWN = "not reached: 41.7 with the stride in the 3x3, 37.4 in the 1x1, and neither code nor clip was published"


def card(
    paper: str,
    row: str,
    backbone: VideoBackbone,
    depth: Depth,
    *blocks: Placed,
    top: str = "",
    released: str = "",
    sizes: tuple[Published, ...] = (),
    input: tuple[int, ...] = CLIP,
    num_classes: int = 400,
    weights: str = "none known",
    **given: Any,
) -> Card:
    """One network; `top` (of that paper) and `released` (of the Caffe2 weights) read "top-1/top-5"."""
    source = f"{paper}, {row}"
    return Card(
        make=partial(assemble, backbone=backbone, depth=depth, frames=input[1], blocks=blocks, **given),
        input=input,
        paper=source,
        num_classes=num_classes,
        published=(*accuracy(top, source), *accuracy(released, CAFFE2), *sizes),
        weights=f"{CAFFE2}, Caffe2 pickle, CC BY-NC 4.0" if released else weights,
    )


def accuracy(figures: str, source: str) -> tuple[Published, ...]:
    if not figures:
        return ()
    one, five = figures.split("/")
    return Published(one, "top-1 %", source), Published(five, "top-5 %", source)


def size(source: str, m: str, g: str, *, m_differs: str = "", g_differs: str = "") -> tuple[Published, ...]:
    return (
        Published(m, "M parameters", source, differs=m_differs),
        Published(g, "G multiply-adds", source, differs=g_differs),
    )


wang = partial(card, "Wang et al., Non-local Neural Networks, CVPR 2018")
caffe2 = partial(card, CAFFE2)
slowfast = partial(card, SLOWFAST, input=CLIP8, weights=f"{SLOWFAST}, Apache-2.0")
mmaction2 = partial(card, MMACTION2, weights=f"{MMACTION2}, Apache-2.0")
cao = partial(card, CAO, convention="nopool", input=CLIP8)
yue = partial(card, "Yue et al., CGNL, NeurIPS 2018, table 4a, mini-Kinetics", num_classes=200)
ours = partial(card, "not published")

NETWORKS: dict[str, Card] = {
    # ---------------------------------------------------------------- small enough for a CPU, and what nobody published
    "c2d_r18": ours("C2D of less depth", "c2d", 18),
    "c2d_r18_nl1": ours("C2D of less depth with the block of table 2a", "c2d", 18, one(NL, 18)),
    "i3d333_r50": ours("table 2e's I3D 3x3x3 of less depth", "i3d333", 50),
    "i3d_r50_se": ours("SE before the residual sums", "i3d", 50, (SqueezeExcite, branches(50, 2, 3, 4, 5))),
    # --------------------------------------------------------- Non-local, 32 frames: C2D and the ablations of table 2
    "c2d_r50": wang("table 2a, baseline", "c2d", 50, top="71.8/89.7", released="72.0/90.0"),
    "c2d_r50_nl1": wang("table 2a, embedded Gaussian", "c2d", 50, one(NL), top="72.7/90.5"),
    "c2d_r50_nl1_gaussian": wang("table 2a, Gaussian", "c2d", 50, one(partial(NL, kind="gaussian")), top="72.5/90.2"),
    "c2d_r50_nl1_dot": wang("table 2a, dot-product", "c2d", 50, one(partial(NL, kind="dot")), top="72.9/90.3"),
    "c2d_r50_nl1_concatenation": wang(
        "table 2a, concatenation", "c2d", 50, one(partial(NL, kind="concatenation")), top="72.8/90.5"
    ),
    "c2d_r50_nl1_res2": wang("table 2b, res2", "c2d", 50, (NL, ["layer1.1"]), top="72.7/90.3"),
    "c2d_r50_nl1_res3": wang("table 2b, res3", "c2d", 50, (NL, ["layer2.2"]), top="72.9/90.4"),
    "c2d_r50_nl1_res5": wang("table 2b, res5", "c2d", 50, (NL, ["layer4.1"]), top="72.3/90.1"),
    "c2d_r50_nl5": wang("table 2c, 5-block", "c2d", 50, five(NL), top="73.8/91.0", released="73.9/91.0"),
    "c2d_r50_nl5_space": wang(
        "table 2d, space-only", "c2d", 50, five(partial(NL, attend_over="space")), top="72.9/90.8"
    ),
    "c2d_r50_nl5_time": wang("table 2d, time-only", "c2d", 50, five(NL_TIME), top="73.1/90.5"),
    "c2d_r50_nl10": wang("table 2c, 10-block", "c2d", 50, (NL, all_of_res3_and_res4()), top="74.3/91.2"),
    "c2d_r101": wang(
        "table 2c, baseline",
        "c2d",
        101,
        top="73.1/91.0",
        sizes=(
            Published("43.2", "M parameters", "the same paper's text", differs="without those of batch norms: 43.2"),
            Published("34.2", "G multiply-adds", "the same paper's text", options={"stride": "1x1"}),
        ),
    ),
    "c2d_r101_nl1": wang("table 2c, 1-block", "c2d", 101, one(NL, 101), top="74.3/91.3"),
    "c2d_r101_nl5": wang("table 2c, 5-block", "c2d", 101, five(NL, 101), top="75.1/91.7"),
    "c2d_r101_nl5_space": wang(
        "table 2d, space-only", "c2d", 101, five(partial(NL, attend_over="space"), 101), top="74.4/91.3"
    ),
    "c2d_r101_nl5_time": wang("table 2d, time-only", "c2d", 101, five(NL_TIME, 101), top="74.4/90.5"),
    # ------------------------------------------------------------------------------------ Non-local, 32 frames: I3D
    "i3d_r50": wang("table 2f, I3D", "i3d", 50, top="73.3/90.7", released="73.6/90.8"),
    "i3d_r50_nl5": wang("table 2f, NL I3D", "i3d", 50, five(NL), top="74.9/91.6", released="74.9/91.6"),
    "i3d_r101": wang("table 2e, I3D 3x1x1", "i3d", 101, top="74.4/91.1"),
    "i3d_r101_nl5": wang("table 2f, NL I3D", "i3d", 101, five(NL, 101), top="76.0/92.1"),
    "i3d333_r101": wang("table 2e, I3D 3x3x3", "i3d333", 101, top="74.1/91.2"),
    # ------------------------------------------------------------ Non-local, other clips; 128x1 and 32x4 are frozen
    "i3d_r50_128x1": wang(
        "table 2g, I3D", "i3d", 50, top="74.9/91.7", released="75.2/92.0", input=CLIP128, frozen=True
    ),
    "i3d_r50_nl5_128x1": wang(
        "table 2g, NL I3D", "i3d", 50, *FROZEN_FIVE, top="76.5/92.6", released="76.5/92.7", input=CLIP128, frozen=True
    ),
    "i3d_r50_32x4": caffe2("i3d 32x4", "i3d", 50, released="75.5/92.0", convention="caffe2", frozen=True),
    "i3d_r50_nl5_32x4": caffe2(
        "i3d NL 32x4", "i3d", 50, *FROZEN_FIVE, released="76.5/92.6", convention="caffe2", frozen=True
    ),
    "c2d_r50_8x8": caffe2("c2d 8x8", "c2d", 50, released="71.9/90.0", convention="caffe2", input=CLIP8),
    "c2d_r50_nl5_8x8": caffe2(
        "c2d NL 8x8", "c2d", 50, five(NL), released="74.4/91.4", convention="caffe2", input=CLIP8
    ),
    "i3d_r50_8x8": caffe2("i3d 8x8", "i3d", 50, released="73.4/90.9", convention="caffe2", input=CLIP8),
    "i3d_r50_nl5_8x8": caffe2(
        "i3d NL 8x8", "i3d", 50, five(NL), released="74.7/91.6", convention="caffe2", input=CLIP8
    ),
    # ----------------------------------------------------------------------------------------------------- PySlowFast
    "c2d_r50_nopool_slowfast": slowfast("C2D NOPOOL 8x8", "c2d", 50, top="67.2/87.8", convention="nopool"),
    "i3d_r50_slowfast": slowfast("I3D 8x8", "i3d", 50, top="73.5/90.8", convention="slowfast"),
    "i3d_r50_nl5_slowfast": slowfast(
        "I3D NLN 8x8", "i3d", 50, five(NL_SLOWFAST), top="74.0/91.1", convention="slowfast"
    ),
    "i3d_r101_nl5_slowfast": slowfast(
        "I3D_NLN_8x8_R101", "i3d", 101, five(NL_SLOWFAST, 50), convention="slowfast", weights="none known"
    ),
    # ------------------------------------------- MMAction2; I3D and SlowOnly were counted on crops of 256, C2D of 224
    "c2d_r50_mmaction2": mmaction2(
        "C2D 8x8",
        "c2d",
        50,
        top="73.89/91.21",
        sizes=size(MMACTION2, "24.3", "19"),
        convention="slowfast",
        input=CLIP8,
    ),
    "c2d_r50_nopool_mmaction2": mmaction2(
        "C2D nopool 8x8",
        "c2d",
        50,
        top="73.44/91.00",
        sizes=size(MMACTION2, "24.3", "33"),
        convention="nopool",
        input=CLIP8,
    ),
    "c2d_r101_nopool_mmaction2": mmaction2(
        "C2D nopool 8x8",
        "c2d",
        101,
        top="74.97/91.77",
        sizes=size(MMACTION2, "43.3", "63", g_differs=NORMS),
        convention="nopool",
        input=CLIP8,
    ),
    "i3d_r50_mmaction2": mmaction2(
        "I3D 32x2",
        "i3d",
        50,
        top="73.47/91.27",
        sizes=size(MMACTION2, "28.0", "43.5", g_differs=NORMS),
        convention="mmaction2",
        input=TEST,
    ),
    "i3d_r50_nl5_mmaction2": mmaction2(
        "I3D NL embedded Gaussian 32x2",
        "i3d",
        50,
        five(NL_MMACTION2),
        top="74.73/91.80",
        sizes=size(MMACTION2, "35.4", "59.3", g_differs=NORMS),
        convention="mmaction2",
        input=TEST,
    ),
    "i3d_r50_nl5_dot_mmaction2": mmaction2(
        "I3D NL dot product 32x2",
        "i3d",
        50,
        five(partial(NL_MMACTION2, kind="dot")),
        top="74.80/92.07",
        sizes=size(MMACTION2, "35.4", "59.3", g_differs=f"ours multiplies phi and g first; {NORMS}"),
        convention="mmaction2",
        input=TEST,
    ),
    "i3d_r50_nl5_gaussian_mmaction2": mmaction2(
        "I3D NL Gaussian 32x2",
        "i3d",
        50,
        five(partial(NL_MMACTION2, kind="gaussian")),
        top="73.97/91.33",
        sizes=size(MMACTION2, "31.7", "56.5", g_differs=NORMS),
        convention="mmaction2",
        input=TEST,
    ),
    "slowonly_r50_4x16_mmaction2": mmaction2(
        "SlowOnly 4x16",
        "slowonly",
        50,
        top="74.83/91.60",
        sizes=size(MMACTION2, "32.45", "27.38", g_differs=NORMS),
        convention="nopool",
        input=TEST4,
    ),
    "slowonly_r50_nl5_4x16_mmaction2": mmaction2(
        "SlowOnly NL 4x16",
        "slowonly",
        50,
        five(NL_MMACTION2),
        top="74.84/91.41",
        sizes=size(MMACTION2, "39.81", "43.23", g_differs=NORMS),
        convention="nopool",
        input=TEST4,
    ),
    "slowonly_r50_mmaction2": mmaction2(
        "SlowOnly 8x8",
        "slowonly",
        50,
        top="75.96/92.40",
        sizes=size(MMACTION2, "32.45", "54.75", g_differs=NORMS),
        convention="nopool",
        input=TEST8,
    ),
    "slowonly_r50_nl5_mmaction2": mmaction2(
        "SlowOnly NL 8x8",
        "slowonly",
        50,
        five(NL_MMACTION2),
        top="76.35/92.18",
        sizes=size(MMACTION2, "39.81", "96.66", g_differs=NORMS),
        convention="nopool",
        input=TEST8,
    ),
    "slowonly_r101_mmaction2": mmaction2(
        "SlowOnly 8x8",
        "slowonly",
        101,
        top="76.28/92.70",
        sizes=size(MMACTION2, "60.36", "112"),
        convention="nopool",
        input=TEST8,
    ),
    # -------------------------------------------------------------------- GCNet, which states neither clip nor ratio
    "slowonly_r50": cao(
        "baseline", "slowonly", 50, top="74.94/91.90", sizes=size(CAO, "32.45", "39.29", g_differs=UNKNOWN)
    ),
    "slowonly_r50_nl5": cao(
        "+5 NL", "slowonly", 50, five(NL), top="75.95/92.29", sizes=size(CAO, "39.81", "59.60", g_differs=UNKNOWN)
    ),
    "slowonly_r50_snl5": cao(
        "+5 SNL",
        "slowonly",
        50,
        five(SimplifiedNonLocal),
        top="75.76/92.44",
        sizes=size(CAO, "36.13", "39.32", g_differs=UNKNOWN),
    ),
    "slowonly_r50_gc5": cao(
        "+5 GC", "slowonly", 50, five(GC), top="75.85/92.25", sizes=size(CAO, "34.30", "39.31", g_differs=UNKNOWN)
    ),
    "slowonly_r50_gc": cao(
        "+all GC",
        "slowonly",
        50,
        (GC, branches(50, 3, 4, 5)),
        top="76.00/92.34",
        sizes=size(
            CAO,
            "42.45",
            "39.35",
            g_differs=UNKNOWN,
            m_differs="13 biases make it 42.455 M, those of the attention, to which a softmax is blind",
        ),
    ),
    # --------------------------------------- CGNL; no code, and the places of five blocks are Non-local's (not stated)
    "i3d_r50_cgnl1": yue("R-50 +1 CGNL", "i3d", 50, one(CGNL), top="77.76/93.18"),
    "i3d_r50_cgnl5": yue("R-50 +5 CGNL", "i3d", 50, five(partial(CGNL, std=None)), top="78.79/94.37"),
    "i3d_r101_cgnl1": yue("R-101 +1 CGNL", "i3d", 101, one(CGNL, 101), top="79.54/93.84"),
    "i3d_r101_cgnl5": yue("R-101 +5 CGNL", "i3d", 101, five(partial(CGNL, std=None), 101), top="79.88/93.37"),
}


def command(name: str, network: Card) -> str:
    """What trains it, where there is a recipe: clips of as many frames, on Kinetics with all its classes."""
    recipe = {8: "kinetics_8x8", 32: "kinetics", 128: "kinetics_128"}.get(network.input[1])
    if name.startswith("c2d_r18"):
        recipe = "clips"
    elif recipe is None or network.num_classes != 400 or name.endswith("32x4"):
        return ""
    return f"wholeframe train {recipe} --backbone {name} --data DIR --out runs/{name}"


VIDEOS: dict[str, Card] = {name: replace(network, command=command(name, network)) for name, network in NETWORKS.items()}
