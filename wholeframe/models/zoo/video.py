"""The named networks for clips, with their cards.

A name is `architecture_depth[_block][_variant][_source]`:

- architecture: `c2d`, `i3d` (3x1x1), `i3d333` (3x3x3), `slowonly`; depth: `r18` to `r152`;
- block: `nl`, `snl`, `gc`, `se` or `cgnl` with the number of blocks; without a number, in every block of res3 to res5;
- variant: the pairwise function (`gaussian`, `dot`, `concatenation`), the keys of a query (`space`, `time`), the stage
  of a single block (`res2`, `res3`, `res5`), or `nopool`;
- source: none for the geometry of the released 32-frame networks (and of GCNet's table for Slow-only); the clip as
  frames x stride for the other released networks (`8x8`, `32x4`, `128x1`); `slowfast` or `mmaction2` for those
  repositories.

Sites: a single block is before the last block of its stage; five are after every other block of res3 and res4; ten are
after every block of both. In ResNet-101 the released code spreads the three of res4 over its 23 blocks, and PySlowFast
keeps them after the second, fourth and sixth: `i3d_r101_nl5` and `i3d_r101_nl5_slowfast`. The paper's table 2c has ten
blocks in a ResNet-101, but neither its text nor its code says where, so that network has no name here.
"""

from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any

from wholeframe.blocks import CGNL, SimplifiedNonLocal, SqueezeExcite
from wholeframe.models.resnet_sites import Depth, all_of_res3_and_res4, branches
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.models.video_conventions import Architecture
from wholeframe.models.zoo.card import Card, Published, accuracy
from wholeframe.models.zoo.video_assembly import (
    FROZEN_FIVE,
    GC_RATIO_4,
    NL_CAFFE2,
    NL_MMACTION2,
    NL_SLOWFAST,
    NL_TIME,
    Placement,
    assemble,
    five_blocks,
    one_block,
)

CLIP, CLIP8, CLIP128 = (3, 32, 224, 224), (3, 8, 224, 224), (3, 128, 224, 224)
TEST, TEST8, TEST4 = (3, 32, 256, 256), (3, 8, 256, 256), (3, 4, 256, 256)
CAFFE2 = "facebookresearch/video-nonlocal-net"
SLOWFAST = "facebookresearch/SlowFast"
MMACTION2 = "open-mmlab/mmaction2"
CAO = "Cao et al., GCNet (arXiv 1904.11492), table 5"

NORMS = "the source also counts two operations for every output of a batch norm; with these ours is the same"
UNKNOWN = "ours is 41.7 with the stride in the 3x3 and 37.4 in the 1x1; neither code nor clip was published"
# All arguments of a `VideoResNet` except its depth, which the name fixes, and its number of classes.
VIDEO_OPTIONS = (
    "convention",
    *(name for name in signature(VideoResNet).parameters if name not in ("depth", "num_classes")),
)


def video_card(
    paper: str,
    row: str,
    architecture: Architecture,
    depth: Depth,
    *blocks: Placement,
    top: str = "",
    released: str = "",
    sizes: tuple[Published, ...] = (),
    input: tuple[int, ...] = CLIP,
    num_classes: int = 400,
    weights: str = "none known",
    **given: Any,
) -> Card:
    """The card of one network; `top` (the paper's) and `released` (of the Caffe2 weights) are "top-1/top-5"."""
    source = f"{paper}, {row}"
    return Card(
        make=partial(assemble, architecture=architecture, depth=depth, frames=input[1], blocks=blocks, **given),
        input=input,
        paper=source,
        num_classes=num_classes,
        published=(
            *(accuracy(top, source) if top else ()),
            *(accuracy(released, CAFFE2) if released else ()),
            *sizes,
        ),
        weights=f"{CAFFE2}, Caffe2 pickle, CC BY-NC 4.0" if released else weights,
        options=VIDEO_OPTIONS,
    )


def size(source: str, m: str, g: str, *, m_differs: str = "", g_differs: str = "") -> tuple[Published, ...]:
    return (
        Published(m, "M parameters", source, differs=m_differs),
        Published(g, "G multiply-adds", source, differs=g_differs),
    )


wang = partial(video_card, "Wang et al., Non-local Neural Networks, CVPR 2018")
caffe2 = partial(video_card, CAFFE2)
slowfast = partial(video_card, SLOWFAST, input=CLIP8, weights=f"{SLOWFAST}, Apache-2.0")
mmaction2 = partial(video_card, MMACTION2, weights=f"{MMACTION2}, Apache-2.0")
cao = partial(video_card, CAO, convention="nopool", input=CLIP8)
yue = partial(video_card, "Yue et al., CGNL, NeurIPS 2018, table 4a, mini-Kinetics", num_classes=200)
ours = partial(video_card, "not published")

NETWORKS: dict[str, Card] = {
    # ------------------------------------------------------------------------ small enough for a CPU, and unpublished
    "c2d_r18": ours("C2D at a smaller depth", "c2d", 18),
    "c2d_r18_nl1": ours("C2D at a smaller depth with the block of table 2a", "c2d", 18, one_block(NL_CAFFE2, 18)),
    "i3d333_r50": ours("I3D 3x3x3 of table 2e at a smaller depth", "i3d333", 50),
    "i3d_r50_se": ours("SE before the residual sums", "i3d", 50, (SqueezeExcite, branches(50, 2, 3, 4, 5))),
    # --------------------------------------------------------- Non-local, 32 frames: C2D and the ablations of table 2
    "c2d_r50": wang("table 2a, baseline", "c2d", 50, top="71.8/89.7", released="72.0/90.0"),
    "c2d_r50_nl1": wang("table 2a, embedded Gaussian", "c2d", 50, one_block(NL_CAFFE2), top="72.7/90.5"),
    "c2d_r50_nl1_gaussian": wang(
        "table 2a, Gaussian", "c2d", 50, one_block(partial(NL_CAFFE2, kind="gaussian")), top="72.5/90.2"
    ),
    "c2d_r50_nl1_dot": wang(
        "table 2a, dot-product", "c2d", 50, one_block(partial(NL_CAFFE2, kind="dot")), top="72.9/90.3"
    ),
    "c2d_r50_nl1_concatenation": wang(
        "table 2a, concatenation", "c2d", 50, one_block(partial(NL_CAFFE2, kind="concatenation")), top="72.8/90.5"
    ),
    "c2d_r50_nl1_res2": wang("table 2b, res2", "c2d", 50, (NL_CAFFE2, ["layer1.1"]), top="72.7/90.3"),
    "c2d_r50_nl1_res3": wang("table 2b, res3", "c2d", 50, (NL_CAFFE2, ["layer2.2"]), top="72.9/90.4"),
    "c2d_r50_nl1_res5": wang("table 2b, res5", "c2d", 50, (NL_CAFFE2, ["layer4.1"]), top="72.3/90.1"),
    "c2d_r50_nl5": wang("table 2c, 5-block", "c2d", 50, five_blocks(NL_CAFFE2), top="73.8/91.0", released="73.9/91.0"),
    "c2d_r50_nl5_space": wang(
        "table 2d, space-only", "c2d", 50, five_blocks(partial(NL_CAFFE2, attend_over="space")), top="72.9/90.8"
    ),
    "c2d_r50_nl5_time": wang("table 2d, time-only", "c2d", 50, five_blocks(NL_TIME), top="73.1/90.5"),
    "c2d_r50_nl10": wang("table 2c, 10-block", "c2d", 50, (NL_CAFFE2, all_of_res3_and_res4()), top="74.3/91.2"),
    "c2d_r101": wang(
        "table 2c, baseline",
        "c2d",
        101,
        top="73.1/91.0",
        sizes=(
            Published(
                "43.2", "M parameters", "the same paper's text", differs="43.2 without the parameters of batch norms"
            ),
            Published("34.2", "G multiply-adds", "the same paper's text", options={"stride": "1x1"}),
        ),
    ),
    "c2d_r101_nl1": wang("table 2c, 1-block", "c2d", 101, one_block(NL_CAFFE2, 101), top="74.3/91.3"),
    "c2d_r101_nl5": wang("table 2c, 5-block", "c2d", 101, five_blocks(NL_CAFFE2, 101), top="75.1/91.7"),
    "c2d_r101_nl5_space": wang(
        "table 2d, space-only", "c2d", 101, five_blocks(partial(NL_CAFFE2, attend_over="space"), 101), top="74.4/91.3"
    ),
    "c2d_r101_nl5_time": wang("table 2d, time-only", "c2d", 101, five_blocks(NL_TIME, 101), top="74.4/90.5"),
    # ------------------------------------------------------------------------------------ Non-local, 32 frames: I3D
    "i3d_r50": wang("table 2f, I3D", "i3d", 50, top="73.3/90.7", released="73.6/90.8"),
    "i3d_r50_nl5": wang("table 2f, NL I3D", "i3d", 50, five_blocks(NL_CAFFE2), top="74.9/91.6", released="74.9/91.6"),
    "i3d_r101": wang("table 2e, I3D 3x1x1", "i3d", 101, top="74.4/91.1"),
    "i3d_r101_nl5": wang("table 2f, NL I3D", "i3d", 101, five_blocks(NL_CAFFE2, 101), top="76.0/92.1"),
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
        "c2d NL 8x8", "c2d", 50, five_blocks(NL_CAFFE2), released="74.4/91.4", convention="caffe2", input=CLIP8
    ),
    "i3d_r50_8x8": caffe2("i3d 8x8", "i3d", 50, released="73.4/90.9", convention="caffe2", input=CLIP8),
    "i3d_r50_nl5_8x8": caffe2(
        "i3d NL 8x8", "i3d", 50, five_blocks(NL_CAFFE2), released="74.7/91.6", convention="caffe2", input=CLIP8
    ),
    # ----------------------------------------------------------------------------------------------------- PySlowFast
    "c2d_r50_nopool_slowfast": slowfast("C2D NOPOOL 8x8", "c2d", 50, top="67.2/87.8", convention="nopool"),
    "i3d_r50_slowfast": slowfast("I3D 8x8", "i3d", 50, top="73.5/90.8", convention="slowfast"),
    "i3d_r50_nl5_slowfast": slowfast(
        "I3D NLN 8x8", "i3d", 50, five_blocks(NL_SLOWFAST), top="74.0/91.1", convention="slowfast"
    ),
    "i3d_r101_nl5_slowfast": slowfast(
        "I3D_NLN_8x8_R101", "i3d", 101, five_blocks(NL_SLOWFAST, 50), convention="slowfast", weights="none known"
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
        five_blocks(NL_MMACTION2),
        top="74.73/91.80",
        sizes=size(MMACTION2, "35.4", "59.3", g_differs=NORMS),
        convention="mmaction2",
        input=TEST,
    ),
    "i3d_r50_nl5_dot_mmaction2": mmaction2(
        "I3D NL dot product 32x2",
        "i3d",
        50,
        five_blocks(partial(NL_MMACTION2, kind="dot")),
        top="74.80/92.07",
        sizes=size(MMACTION2, "35.4", "59.3", g_differs=NORMS),
        convention="mmaction2",
        input=TEST,
    ),
    "i3d_r50_nl5_gaussian_mmaction2": mmaction2(
        "I3D NL Gaussian 32x2",
        "i3d",
        50,
        five_blocks(partial(NL_MMACTION2, kind="gaussian")),
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
        five_blocks(NL_MMACTION2),
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
        five_blocks(NL_MMACTION2),
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
        "+5 NL",
        "slowonly",
        50,
        five_blocks(NL_CAFFE2),
        top="75.95/92.29",
        sizes=size(CAO, "39.81", "59.60", g_differs=UNKNOWN),
    ),
    "slowonly_r50_snl5": cao(
        "+5 SNL",
        "slowonly",
        50,
        five_blocks(SimplifiedNonLocal),
        top="75.76/92.44",
        sizes=size(CAO, "36.13", "39.32", g_differs=UNKNOWN),
    ),
    "slowonly_r50_gc5": cao(
        "+5 GC",
        "slowonly",
        50,
        five_blocks(GC_RATIO_4),
        top="75.85/92.25",
        sizes=size(CAO, "34.30", "39.31", g_differs=UNKNOWN),
    ),
    "slowonly_r50_gc": cao(
        "+all GC",
        "slowonly",
        50,
        (GC_RATIO_4, branches(50, 3, 4, 5)),
        top="76.00/92.34",
        sizes=size(
            CAO,
            "42.45",
            "39.35",
            g_differs=UNKNOWN,
            m_differs="ours is 42.455 M with the 13 biases of the attention, which cancel in its softmax",
        ),
    ),
    # ------------------------- CGNL: no code; the paper does not state the sites of five blocks, here Non-local's
    "i3d_r50_cgnl1": yue("R-50 +1 CGNL", "i3d", 50, one_block(CGNL), top="77.76/93.18"),
    "i3d_r50_cgnl5": yue("R-50 +5 CGNL", "i3d", 50, five_blocks(partial(CGNL, std=None)), top="78.79/94.37"),
    "i3d_r101_cgnl1": yue("R-101 +1 CGNL", "i3d", 101, one_block(CGNL, 101), top="79.54/93.84"),
    "i3d_r101_cgnl5": yue("R-101 +5 CGNL", "i3d", 101, five_blocks(partial(CGNL, std=None), 101), top="79.88/93.37"),
}


def training_command(name: str, network: Card) -> str:
    """The command that trains a network, or "" if no recipe has clips of its length on Kinetics-400."""
    recipe = {8: "kinetics_8x8", 32: "kinetics", 128: "kinetics_128"}.get(network.input[1])
    if name.startswith("c2d_r18"):
        recipe = "clips"
    elif recipe is None or network.num_classes != 400 or name.endswith("32x4"):
        return ""
    return f"wholeframe train {recipe} --backbone {name} --data DIR --out runs/{name}"


VIDEO_MODELS: dict[str, Card] = {
    name: replace(network, command=training_command(name, network)) for name, network in NETWORKS.items()
}
