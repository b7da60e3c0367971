"""The published networks for clips by name.

A name reads `host_depth[_block][_variant][_source]`:

- host: `c2d`, `i3d` (3x1x1), `i3d333` (3x3x3), `slowonly`; depth: `r18` to `r152`;
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

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from wholeframe.blocks import CGNL, GlobalContext, NonLocal, SimplifiedNonLocal, SqueezeExcite
from wholeframe.models.card import Network, Published, Unit
from wholeframe.models.norms import freeze_norms
from wholeframe.models.surgery import insert
from wholeframe.models.video import VideoResNet
from wholeframe.models.video_conventions import Convention, Host

Blocks = tuple[tuple[Callable[[int], nn.Module], str | Sequence[str]], ...]


def assemble(
    classes: int,
    *,
    host: Host,
    depth: int,
    convention: Convention = "caffe2_org",
    frames: int = 32,
    blocks: Blocks = (),
    frozen: bool = False,
) -> VideoResNet:
    """A host with its blocks inserted and proved; `frozen` makes its batch norms affine maps first."""
    network = VideoResNet.like(convention, host, depth, classes)
    if frozen:
        freeze_norms(network)
    for block, at in blocks:
        insert(network, block, at, example=torch.randn(1, 3, frames, 64, 64))
    return network


# ---------------------------------------------------------------------------------------------------- blocks and places

Places = str | Sequence[str] | Mapping[int, str | Sequence[str]]

# By depth; globs over module names.
ONE = {18: "layer3.0", 50: "layer3.4", 101: "layer3.21"}
FIVE = {
    50: ("layer2.1", "layer2.3", "layer3.1", "layer3.3", "layer3.5"),
    101: ("layer2.1", "layer2.3", "layer3.6", "layer3.13", "layer3.20"),
}
FIVE_OF_SLOWFAST = {50: FIVE[50], 101: FIVE[50]}
RES3, RES4 = "layer2.[13]", "layer3.[135]"  # the five of ResNet-50 by stage
TEN = ("layer2.*", "layer3.*")  # every block of ResNet-50's res3 and res4
BEFORE_SUM = "layer[2-4].*.bn3"  # in every block of res3 to res5

NL = partial(NonLocal.like, "caffe2")
NL_SLOWFAST = partial(NonLocal.like, "slowfast", pool=2, birth="zero")  # ZERO_INIT_FINAL_BN in its configurations
NL_MMACTION2 = partial(NonLocal.like, "mmcv", scale=None, pool=2, norm="bn", out_bias=False)
NL_TIME = partial(NL, reach="time", pool=1)
NL_FROZEN = partial(NL, norm=None)  # so W_z starts at zero
GC = partial(GlobalContext, ratio=1 / 4)  # the ratio that the published parameters are those of
# The frozen networks look at four frames at a time in res3 and at all of them in res4: the code, not the paper.
FROZEN_FIVE = (partial(NL_FROZEN, frames=4), RES3), (NL_FROZEN, RES4)

# ----------------------------------------------------------------------------------------------------------- the cards

CLIP, CLIP8, CLIP128 = (3, 32, 224, 224), (3, 8, 224, 224), (3, 128, 224, 224)
TEST, TEST8, TEST4 = (3, 32, 256, 256), (3, 8, 256, 256), (3, 4, 256, 256)
CAFFE2 = "facebookresearch/video-nonlocal-net"


def _card(
    paper: str,
    row: str,
    host: Host,
    depth: int,
    top: str = "",
    *blocks: tuple[Callable[[int], nn.Module], Places],
    size: str = "",
    size_of: str = "",
    released: str = "",
    input: tuple[int, ...] = CLIP,
    classes: int = 400,
    weights: str = "none known",
    **given: Any,
) -> Network:
    """The card of one row: `top` and `released` are "top-1/top-5", `size` is "M parameters/G multiply-adds"."""
    source = f"{paper}, {row}"
    published = _pair(top, ("top-1 %", "top-5 %"), source) + _pair(released, ("top-1 %", "top-5 %"), CAFFE2)
    published += _pair(size, ("M parameters", "G multiply-adds"), size_of or source)
    attached = tuple((block, at[depth] if isinstance(at, Mapping) else at) for block, at in blocks)
    make = partial(assemble, host=host, depth=depth, frames=input[1], blocks=attached, **given)
    weights = f"{CAFFE2}, Caffe2 pickle, CC BY-NC 4.0" if released else weights
    return Network(make, input, source, classes, published, weights=weights)


def _pair(figures: str, units: tuple[Unit, Unit], source: str) -> tuple[Published, ...]:
    return tuple(Published(*pair, source) for pair in zip(figures.split("/"), units, strict=True)) if figures else ()


_wang = partial(_card, "Wang et al., Non-local Neural Networks, CVPR 2018")
_caffe2 = partial(_card, CAFFE2)
_slowfast = partial(_card, "facebookresearch/SlowFast", input=CLIP8, weights="facebookresearch/SlowFast, Apache-2.0")
_mmaction2 = partial(_card, "open-mmlab/mmaction2", weights="open-mmlab/mmaction2, Apache-2.0")
_cao = partial(_card, "Cao et al., GCNet, 2019", convention="nopool", input=CLIP8)
_yue = partial(_card, "Yue et al., CGNL, NeurIPS 2018", classes=200)
_ours = partial(_card, "not published")

VIDEOS: dict[str, Network] = {
    # ------------------------------------------------------------- small enough for a CPU, and what nobody published
    "c2d_r18": _ours("C2D of less depth", "c2d", 18),
    "c2d_r18_nl1": _ours("C2D of less depth with the block of table 2a", "c2d", 18, "", (NL, ONE)),
    "i3d333_r50": _ours("table 2e's I3D 3x3x3 of less depth", "i3d333", 50),
    "i3d_r50_se": _ours("SE as on images, before the residual sum", "i3d", 50, "", (SqueezeExcite, BEFORE_SUM)),
    # ------------------------------------------------------ Non-local, 32 frames: C2D and the ablations of table 2
    "c2d_r50": _wang("table 2a, baseline", "c2d", 50, "71.8/89.7", released="72.0/90.0"),
    "c2d_r50_nl1": _wang("table 2a, embedded Gaussian", "c2d", 50, "72.7/90.5", (NL, ONE)),
    "c2d_r50_nl1_gaussian": _wang("table 2a, Gaussian", "c2d", 50, "72.5/90.2", (partial(NL, kind="gaussian"), ONE)),
    "c2d_r50_nl1_dot": _wang("table 2a, dot-product", "c2d", 50, "72.9/90.3", (partial(NL, kind="dot"), ONE)),
    "c2d_r50_nl1_concatenation": _wang(
        "table 2a, concatenation", "c2d", 50, "72.8/90.5", (partial(NL, kind="concatenation"), ONE)
    ),
    "c2d_r50_nl1_res2": _wang("table 2b, res2", "c2d", 50, "72.7/90.3", (NL, "layer1.1")),
    "c2d_r50_nl1_res3": _wang("table 2b, res3", "c2d", 50, "72.9/90.4", (NL, "layer2.2")),
    "c2d_r50_nl1_res5": _wang("table 2b, res5", "c2d", 50, "72.3/90.1", (NL, "layer4.1")),
    "c2d_r50_nl5": _wang("table 2c, 5-block", "c2d", 50, "73.8/91.0", (NL, FIVE), released="73.9/91.0"),
    "c2d_r50_nl5_space": _wang("table 2d, space-only", "c2d", 50, "72.9/90.8", (partial(NL, reach="space"), FIVE)),
    "c2d_r50_nl5_time": _wang("table 2d, time-only", "c2d", 50, "73.1/90.5", (NL_TIME, FIVE)),
    "c2d_r50_nl10": _wang("table 2c, 10-block", "c2d", 50, "74.3/91.2", (NL, TEN)),
    "c2d_r101": _wang(
        "table 2c, baseline", "c2d", 101, "73.1/91.0", size="43.2/34.2", size_of="the text of the same paper"
    ),
    "c2d_r101_nl1": _wang("table 2c, 1-block", "c2d", 101, "74.3/91.3", (NL, ONE)),
    "c2d_r101_nl5": _wang("table 2c, 5-block", "c2d", 101, "75.1/91.7", (NL, FIVE)),
    "c2d_r101_nl5_space": _wang("table 2d, space-only", "c2d", 101, "74.4/91.3", (partial(NL, reach="space"), FIVE)),
    "c2d_r101_nl5_time": _wang("table 2d, time-only", "c2d", 101, "74.4/90.5", (NL_TIME, FIVE)),
    # --------------------------------------------------------------------------------- Non-local, 32 frames: I3D
    "i3d_r50": _wang("table 2f, I3D", "i3d", 50, "73.3/90.7", released="73.6/90.8"),
    "i3d_r50_nl5": _wang("table 2f, NL I3D", "i3d", 50, "74.9/91.6", (NL, FIVE), released="74.9/91.6"),
    "i3d_r101": _wang("table 2e, I3D 3x1x1", "i3d", 101, "74.4/91.1"),
    "i3d_r101_nl5": _wang("table 2f, NL I3D", "i3d", 101, "76.0/92.1", (NL, FIVE)),
    "i3d333_r101": _wang("table 2e, I3D 3x3x3", "i3d333", 101, "74.1/91.2"),
    # ---------------------------------------------------------------- Non-local, other clips; 128x1 and 32x4 are frozen
    "i3d_r50_128x1": _wang("table 2g, I3D", "i3d", 50, "74.9/91.7", released="75.2/92.0", input=CLIP128, frozen=True),
    "i3d_r50_nl5_128x1": _wang(
        "table 2g, NL I3D", "i3d", 50, "76.5/92.6", *FROZEN_FIVE, released="76.5/92.7", input=CLIP128, frozen=True
    ),
    "i3d_r50_32x4": _caffe2("i3d 32x4", "i3d", 50, released="75.5/92.0", convention="caffe2", frozen=True),
    "i3d_r50_nl5_32x4": _caffe2(
        "i3d NL 32x4", "i3d", 50, "", *FROZEN_FIVE, released="76.5/92.6", convention="caffe2", frozen=True
    ),
    "c2d_r50_8x8": _caffe2("c2d 8x8", "c2d", 50, released="71.9/90.0", convention="caffe2", input=CLIP8),
    "c2d_r50_nl5_8x8": _caffe2(
        "c2d NL 8x8", "c2d", 50, "", (NL, FIVE), released="74.4/91.4", convention="caffe2", input=CLIP8
    ),
    "i3d_r50_8x8": _caffe2("i3d 8x8", "i3d", 50, released="73.4/90.9", convention="caffe2", input=CLIP8),
    "i3d_r50_nl5_8x8": _caffe2(
        "i3d NL 8x8", "i3d", 50, "", (NL, FIVE), released="74.7/91.6", convention="caffe2", input=CLIP8
    ),
    # -------------------------------------------------------------------------------------- PySlowFast, from scratch
    "c2d_r50_nopool_slowfast": _slowfast("C2D NOPOOL 8x8", "c2d", 50, "67.2/87.8", convention="nopool"),
    "i3d_r50_slowfast": _slowfast("I3D 8x8", "i3d", 50, "73.5/90.8", convention="slowfast"),
    "i3d_r50_nl5_slowfast": _slowfast(
        "I3D NLN 8x8", "i3d", 50, "74.0/91.1", (NL_SLOWFAST, FIVE_OF_SLOWFAST), convention="slowfast"
    ),
    "i3d_r101_nl5_slowfast": _slowfast(
        "I3D_NLN_8x8_R101", "i3d", 101, "", (NL_SLOWFAST, FIVE_OF_SLOWFAST), convention="slowfast", weights="none known"
    ),
    # ------------------------------------ MMAction2, from ImageNet; sizes are of a crop of 256, C2D's of one of 224
    "c2d_r50_mmaction2": _mmaction2(
        "C2D 8x8", "c2d", 50, "73.89/91.21", size="24.3/19", convention="slowfast", input=CLIP8
    ),
    "c2d_r50_nopool_mmaction2": _mmaction2(
        "C2D nopool 8x8", "c2d", 50, "73.44/91.00", size="24.3/33", convention="nopool", input=CLIP8
    ),
    "c2d_r101_nopool_mmaction2": _mmaction2(
        "C2D nopool 8x8", "c2d", 101, "74.97/91.77", size="43.3/63", convention="nopool", input=CLIP8
    ),
    "i3d_r50_mmaction2": _mmaction2(
        "I3D 32x2", "i3d", 50, "73.47/91.27", size="28.0/43.5", convention="mmaction2", input=TEST
    ),
    "i3d_r50_nl5_mmaction2": _mmaction2(
        "I3D NL embedded Gaussian 32x2",
        "i3d",
        50,
        "74.73/91.80",
        (NL_MMACTION2, FIVE),
        size="35.4/59.3",
        convention="mmaction2",
        input=TEST,
    ),
    "i3d_r50_nl5_dot_mmaction2": _mmaction2(
        "I3D NL dot product 32x2",
        "i3d",
        50,
        "74.80/92.07",
        (partial(NL_MMACTION2, kind="dot"), FIVE),
        size="35.4/59.3",
        convention="mmaction2",
        input=TEST,
    ),
    "i3d_r50_nl5_gaussian_mmaction2": _mmaction2(
        "I3D NL Gaussian 32x2",
        "i3d",
        50,
        "73.97/91.33",
        (partial(NL_MMACTION2, kind="gaussian"), FIVE),
        size="31.7/56.5",
        convention="mmaction2",
        input=TEST,
    ),
    "slowonly_r50_4x16_mmaction2": _mmaction2(
        "SlowOnly 4x16", "slowonly", 50, "74.83/91.60", size="32.45/27.38", convention="nopool", input=TEST4
    ),
    "slowonly_r50_nl5_4x16_mmaction2": _mmaction2(
        "SlowOnly NL 4x16",
        "slowonly",
        50,
        "74.84/91.41",
        (NL_MMACTION2, FIVE),
        size="39.81/43.23",
        convention="nopool",
        input=TEST4,
    ),
    "slowonly_r50_mmaction2": _mmaction2(
        "SlowOnly 8x8", "slowonly", 50, "75.96/92.40", size="32.45/54.75", convention="nopool", input=TEST8
    ),
    "slowonly_r50_nl5_mmaction2": _mmaction2(
        "SlowOnly NL 8x8",
        "slowonly",
        50,
        "76.35/92.18",
        (NL_MMACTION2, FIVE),
        size="39.81/96.66",
        convention="nopool",
        input=TEST8,
    ),
    "slowonly_r101_mmaction2": _mmaction2(
        "SlowOnly 8x8", "slowonly", 101, "76.28/92.70", size="60.36/112", convention="nopool", input=TEST8
    ),
    # ------------------------------- GCNet's table 5, which states neither clip nor ratio; there is no code. See docs
    "slowonly_r50": _cao("table 5, baseline", "slowonly", 50, "74.94/91.90", size="32.45/39.29"),
    "slowonly_r50_nl5": _cao("table 5, +5 NL", "slowonly", 50, "75.95/92.29", (NL, FIVE), size="39.81/59.60"),
    "slowonly_r50_snl5": _cao(
        "table 5, +5 SNL", "slowonly", 50, "75.76/92.44", (SimplifiedNonLocal, FIVE), size="36.13/39.32"
    ),
    "slowonly_r50_gc5": _cao("table 5, +5 GC", "slowonly", 50, "75.85/92.25", (GC, FIVE), size="34.30/39.31"),
    "slowonly_r50_gc": _cao("table 5, +all GC", "slowonly", 50, "76.00/92.34", (GC, BEFORE_SUM), size="42.45/39.35"),
    # -------------------- CGNL on mini-Kinetics; no code, so the places of five blocks are those of Non-local (assumed)
    "i3d_r50_cgnl1": _yue("table 4a, R-50 +1 CGNL", "i3d", 50, "77.76/93.18", (CGNL, ONE)),
    "i3d_r50_cgnl5": _yue("table 4a, R-50 +5 CGNL", "i3d", 50, "78.79/94.37", (partial(CGNL, std=None), FIVE)),
    "i3d_r101_cgnl1": _yue("table 4a, R-101 +1 CGNL", "i3d", 101, "79.54/93.84", (CGNL, ONE)),
    "i3d_r101_cgnl5": _yue("table 4a, R-101 +5 CGNL", "i3d", 101, "79.88/93.37", (partial(CGNL, std=None), FIVE)),
}
