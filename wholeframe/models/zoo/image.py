"""The image networks by name, with their cards.

A name reads backbone, depth, block: `r50_gc`. The number behind the block counts blocks, `r50_nl5`; without one the blocks
stand at every place their paper gives them. What follows an underscore is the block's own: `_r4` a ratio of 1/4 where
1/16 is usual, `_avg` a mean for the attention, `_scale` a product for the sum, `_position` a gate of GSoP.
`cgnlx` is CGNL with the released Taylor series.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from wholeframe.blocks import CGNL, GlobalContext, NonLocal, SimplifiedNonLocal, SqueezeExcite
from wholeframe.models.resnet_image import (
    STAGES,
    Depth,
    ResNetPlan,
    all_of_res3_and_res4,
    before_last,
    branches,
    every_other,
    gsop_net1,
    gsop_net2,
    isqrt_net,
)
from wholeframe.models.zoo import image_published as published
from wholeframe.models.zoo.card import Card

BACKBONE_WEIGHTS = 'torchvision\'s, BSD-3-Clause (weights="DEFAULT")'
BACKBONE_ONLY = f"of the backbone: {BACKBONE_WEIGHTS}; with the blocks none known"
CGNL_WEIGHTS = f"KaiyuYue/cgnl-network.pytorch, MIT, ImageNet and CUB-200, as pickles; else {BACKBONE_ONLY}"
ISQRT_WEIGHTS = "jiangtaoxie/fast-MPN-COV, MIT, ImageNet; files from before 2020 have the other order of the triangle"
SE_WEIGHTS = "mmpretrain, Apache-2.0; timm seresnet50, licence on its card; the authors' for Caffe, no licence stated"


def network(make: ResNetPlan, paper: str, *figures: published.Row, weights: str = BACKBONE_ONLY) -> Card:
    """The card of a ResNet with what a paper makes of it."""
    return Card(
        make=make,
        input=(3, 224, 224),
        paper=paper,
        published=sum(figures, ()),
        weights=weights,
        backbone=f"torchvision/resnet{make.depth}",
        attach=make.attach,
    )


# ------------------------------------------------------------------------------------------------------------- blocks

# As in the released code of CGNL, and as its ResNets compare: no biases, softmax over keys that are not pooled.
nl = partial(NonLocal, bias=False, out_bias=False, scale="sqrt_dim")
cgnl = partial(CGNL, groups=8)
cgnlx = partial(CGNL, groups=8, kernel="taylor", order=3)


def gc(depth: Depth, **options: Any) -> ResNetPlan:
    return ResNetPlan(depth, partial(GlobalContext, **options), branches(depth, 3, 4, 5))


def se(depth: Depth) -> ResNetPlan:
    return ResNetPlan(depth, SqueezeExcite, branches(depth, 2, 3, 4, 5))


def snl(depth: Depth) -> ResNetPlan:
    return ResNetPlan(depth, SimplifiedNonLocal, branches(depth, 3, 4, 5))


def one(depth: Depth, block: Callable[[int], nn.Module]) -> ResNetPlan:
    return ResNetPlan(depth, block, before_last(depth))


def five(depth: Depth, block: Callable[[int], nn.Module]) -> ResNetPlan:
    return ResNetPlan(depth, block, every_other(depth))


def ten(depth: Depth, block: Callable[[int], nn.Module]) -> ResNetPlan:
    return ResNetPlan(depth, block, all_of_res3_and_res4())


# --------------------------------------------------------------------------------------------------------- paper lines

HE = "He et al., ResNet"
HU = "Hu et al., SENet: every block, before the sum"
GC_ALL = "Cao et al., GCNet: every block of res3, res4 and res5, before the sum"
GC_ONE = "Cao et al., GCNet: one block in res4; its place is not stated, taken as before the last residual block"
WANG_ONE = "Wang et al., Non-local: one block, before the last residual block of res4; as compared by Yue et al., CGNL"
WANG_FIVE = "Wang et al., Non-local: two blocks in res3 and three in res4"
WANG_TEN = "Wang et al., Non-local: behind every block of res3 and res4"
YUE_ONE = "Yue et al., CGNL: one block of 8 groups, before the last residual block of res4"
YUE_FIVE = "Yue et al., CGNL: five blocks of 8 groups; their places are not stated, taken from Wang et al."
GAO_1 = "Gao et al., GSoP-Net1: in the last block of every stage, before the sum"
GAO_2 = "Gao et al., GSoP-Net2: as GSoP-Net1 in res2 to res4, covariance pooling behind res5"
LI = "Li et al., iSQRT-COV: covariance pooling behind res5, 5 steps"
UNPUBLISHED = "; published for other backbones"


# --------------------------------------------------------------------------------------------------------- the networks

BACKBONES: dict[str, Card] = {
    "r18": network(
        ResNetPlan(18),
        HE,
        published.torchvision("69.758/89.078", "11,689,512", "1.814"),
        weights=BACKBONE_WEIGHTS,
    ),
    "r34": network(
        ResNetPlan(34),
        HE,
        published.torchvision("73.314/91.420", "21,797,672", "3.664"),
        weights=BACKBONE_WEIGHTS,
    ),
    "r50": network(
        ResNetPlan(50),
        HE,
        published.torchvision("76.130/92.862", "25,557,032", "4.089"),
        published.gcnet("76.88/93.16", "25.56", "3.86"),
        published.gsop("23.85/7.13"),
        published.cub("84.05/96.00"),
        weights=BACKBONE_WEIGHTS,
    ),
    "r101": network(
        ResNetPlan(101),
        HE,
        published.torchvision("77.374/93.546", "44,549,160", "7.801"),
        published.cub("85.05/96.70"),
        weights=BACKBONE_WEIGHTS,
    ),
    "r152": network(
        ResNetPlan(152),
        HE,
        published.torchvision("78.312/94.046", "60,192,808", "11.514"),
        weights=BACKBONE_WEIGHTS,
    ),
}

SE: dict[str, Card] = {
    "r18_se": network(se(18), HU),
    "r34_se": network(se(34), HU),
    "r50_se": network(
        se(50),
        HU,
        published.senet("22.37/6.36"),
        published.gsop("23.29/6.62", "1.1", "1.0"),
        published.mmpretrain("77.74/93.84", "28.09", "4.13"),
        weights=SE_WEIGHTS,
    ),
    "r101_se": network(
        se(101),
        HU,
        published.senet("21.75/5.72"),
        published.mmpretrain("78.26/94.07", "49.33", "7.86"),
        weights=SE_WEIGHTS,
    ),
    "r152_se": network(se(152), HU, published.senet("21.34/5.54"), weights=SE_WEIGHTS),
}

GC: dict[str, Card] = {
    "r18_gc": network(gc(18), GC_ALL + UNPUBLISHED),
    "r34_gc": network(gc(34), GC_ALL + UNPUBLISHED),
    "r50_gc": network(
        gc(50), GC_ALL, published.gcnet("77.70/93.66", "28.08", "3.87"), published.gcnet_code("28,078,773")
    ),
    "r101_gc": network(gc(101), GC_ALL + UNPUBLISHED, published.gcnet_code("49,337,222")),
    "r152_gc": network(gc(152), GC_ALL + UNPUBLISHED),
    "r18_gc_r4": network(gc(18, ratio=1 / 4), GC_ALL + UNPUBLISHED),
    "r34_gc_r4": network(gc(34, ratio=1 / 4), GC_ALL + UNPUBLISHED),
    "r50_gc_r4": network(gc(50, ratio=1 / 4), GC_ALL, published.gcnet_code("35,557,941")),
    "r101_gc_r4": network(gc(101, ratio=1 / 4), GC_ALL + UNPUBLISHED, published.gcnet_code("63,510,854")),
    "r152_gc_r4": network(gc(152, ratio=1 / 4), GC_ALL + UNPUBLISHED),
    "r50_gc_r8": network(gc(50, ratio=1 / 8), GC_ALL, published.gcnet_code("30,571,829")),
    "r50_gc_r32": network(gc(50, ratio=1 / 32), GC_ALL, published.gcnet_code("26,832,245")),
    "r50_gc_scale": network(gc(50, fusion="multiply"), GC_ALL, published.gcnet("77.34/93.48", "28.08", "3.87")),
    "r50_gc_avg": network(
        gc(50, context="mean"),
        GC_ALL,
        published.gcnet("77.40/93.60", "28.07", "3.87", m_differs=published.MEAN, g_differs=published.ELEMENTWISE),
    ),
    "r50_gc_avg_scale": network(
        gc(50, context="mean", fusion="multiply"),
        f"{GC_ALL}; called SENet there",
        published.gcnet("77.26/93.55", "28.07", "3.87", m_differs=published.MEAN, g_differs=published.ELEMENTWISE),
    ),
    "r50_gc1": network(one(50, GlobalContext), GC_ONE, published.gcnet("77.34/93.52", "25.69", "3.86")),
}

SNL: dict[str, Card] = {
    "r50_snl1": network(one(50, SimplifiedNonLocal), GC_ONE, published.gcnet("77.28/93.60", "26.61", "3.86")),
    **{f"r{depth}_snl": network(snl(depth), GC_ALL + "; SNL not published there") for depth in STAGES},
}

NL: dict[str, Card] = {
    "r18_nl1": network(one(18, nl), WANG_ONE + UNPUBLISHED),
    "r34_nl1": network(one(34, nl), WANG_ONE + UNPUBLISHED),
    "r50_nl1": network(
        one(50, nl),
        WANG_ONE,
        published.gcnet("77.20/93.51", "27.66", "4.11", g_differs=published.KEYS),
        published.cub("84.79/96.76"),
        published.cgnl_readme_cub("86.69/96.95"),
        published.cgnl_code("27,656,232", "4.54"),
        weights=CGNL_WEIGHTS,
    ),
    "r101_nl1": network(
        one(101, nl),
        WANG_ONE,
        published.cub("85.49/97.04"),
        published.cgnl_readme_cub("87.04/97.01"),
        weights=CGNL_WEIGHTS,
    ),
    "r152_nl1": network(one(152, nl), WANG_ONE + UNPUBLISHED),
    "r34_nl5": network(five(34, nl), WANG_FIVE + UNPUBLISHED),
    "r50_nl5": network(five(50, nl), WANG_FIVE, published.cub("85.10/96.18")),
    "r101_nl5": network(five(101, nl), WANG_FIVE, published.cub("86.10/96.35")),
    "r34_nl10": network(ten(34, nl), WANG_TEN + UNPUBLISHED),
    "r50_nl10": network(ten(50, nl), WANG_TEN + "; on video only"),
}

CGNLS: dict[str, Card] = {
    "r18_cgnl1": network(one(18, cgnl), YUE_ONE + UNPUBLISHED),
    "r34_cgnl1": network(one(34, cgnl), YUE_ONE + UNPUBLISHED),
    "r50_cgnl1": network(
        one(50, cgnl),
        YUE_ONE,
        published.cgnl_readme("77.69/93.63"),
        published.cub("85.14/96.88"),
        published.cgnl_readme_cub("87.06/96.91"),
        published.cgnl_code("27,197,480", "4.41"),
        weights=CGNL_WEIGHTS,
    ),
    "r101_cgnl1": network(
        one(101, cgnl),
        YUE_ONE,
        published.cub("86.35/97.86"),
        published.cgnl_readme_cub("87.28/97.20"),
        published.cgnl_code("46,189,608"),
        weights=CGNL_WEIGHTS,
    ),
    "r152_cgnl1": network(
        one(152, cgnl),
        YUE_ONE,
        published.cgnl_readme("79.53/94.52"),
        published.cgnl_code("61,833,256"),
        weights=CGNL_WEIGHTS,
    ),
    "r34_cgnl5": network(five(34, cgnl), YUE_FIVE + UNPUBLISHED),
    "r50_cgnl5": network(five(50, cgnl), YUE_FIVE, published.cub("85.68/96.69")),
    "r101_cgnl5": network(five(101, cgnl), YUE_FIVE, published.cub("86.24/97.23")),
    "r50_cgnlx1": network(
        one(50, cgnlx),
        YUE_ONE,
        published.cgnl_readme("77.32/93.40"),
        published.cgnl_readme_cub("86.56/96.63"),
        published.cgnl_code("27,197,480", "4.41"),
        weights=CGNL_WEIGHTS,
    ),
    "r101_cgnlx1": network(one(101, cgnlx), YUE_ONE, published.cgnl_readme_cub("87.18/97.03"), weights=CGNL_WEIGHTS),
    "r152_cgnlx1": network(one(152, cgnlx), YUE_ONE, published.cgnl_readme("79.37/94.47"), weights=CGNL_WEIGHTS),
    "r50_cgnlx5": network(five(50, cgnlx), YUE_FIVE + UNPUBLISHED),
    "r101_cgnlx5": network(five(101, cgnlx), YUE_FIVE + UNPUBLISHED),
}

GSOP_1: dict[str, Card] = {
    "gsop1_r50": network(
        gsop_net1(50),
        GAO_1,
        published.gsop_readme("22.02/5.88"),
        published.gsop("22.32/6.02", "1.1", "1.6"),
        published.gsop_code("28,285,224", "6.56"),
        published.ecanet("28.05", "6.18"),
    ),
    "gsop1_r50_position": network(gsop_net1(50, "position"), GAO_1, published.gsop_code("26,182,952")),
    "gsop1_r50_sum": network(gsop_net1(50, "sum"), GAO_1, published.gsop_code("28,911,144")),
    "gsop1_r50_max": network(gsop_net1(50, "max"), GAO_1, published.gsop_code("28,911,144")),
    "gsop1_r50_concat": network(gsop_net1(50, "concat"), GAO_1, published.gsop_code("32,105,000")),
    "gsop1_r101": network(gsop_net1(101), GAO_1 + UNPUBLISHED, published.gsop_code("47,277,352")),
}

GSOP_2: dict[str, Card] = {
    "gsop2_r50": network(
        gsop_net2(50),
        GAO_2,
        published.gsop("21.19/5.64", "2.3", "1.7", differs=published.CENTRING),
        published.gsop_code("58,278,568", "6.76"),
    ),
    "gsop2_r50_position": network(gsop_net2(50, "position"), GAO_2, published.gsop_code("57,260,008")),
    "gsop2_r50_sum": network(gsop_net2(50, "sum"), GAO_2, published.gsop_code("58,608,744")),
    "gsop2_r50_max": network(gsop_net2(50, "max"), GAO_2, published.gsop_code("58,608,744")),
    "gsop2_r50_concat": network(gsop_net2(50, "concat"), GAO_2, published.gsop_code("60,483,688")),
    "gsop2_r101": network(gsop_net2(101), GAO_2 + UNPUBLISHED, published.gsop_code("77,270,696")),
}

ISQRT: dict[str, Card] = {
    "isqrt_r50": network(
        isqrt_net(50),
        LI,
        published.gsop("22.14/6.22", "2.2", "1.6"),
        published.isqrt("22.14/6.22"),
        published.isqrt_readme("21.71/6.13"),
        published.gsop_code("56,929,832"),
        weights=ISQRT_WEIGHTS,
    ),
    "isqrt_r101": network(
        isqrt_net(101),
        LI,
        published.isqrt("21.21/5.68"),
        published.isqrt_readme("20.99/5.56"),
        published.gsop_code("75,921,960"),
        weights=ISQRT_WEIGHTS,
    ),
}

FAMILIES = {  # by the recipe that trains them
    "imagenet": {**BACKBONES, **SE, **GC, **SNL},
    "imagenet_cgnl": {**NL, **CGNLS},
    "imagenet_gsop1": GSOP_1,
    "imagenet_gsop2": GSOP_2,
    "imagenet_isqrt": ISQRT,
}
IMAGES: dict[str, Card] = {
    name: replace(card, command=f"wholeframe train {recipe} --backbone {name} --data DIR --out runs/{name}")
    for recipe, family in FAMILIES.items()
    for name, card in family.items()
}
