"""The image networks by name, with their cards.

A name is depth and block: `r50_gc`. A number after the block counts blocks, `r50_nl5`; without one there is a block at
every site of the paper. A suffix is an option of the block: `_r4` a ratio of 1/4 instead of the usual 1/16, `_avg` a
mean instead of attention, `_scale` a product instead of the sum, `_position` a gate of GSoP. `cgnlx` is CGNL with the
released Taylor series.
"""

from dataclasses import replace

from wholeframe.blocks import GlobalContext, SimplifiedNonLocal
from wholeframe.models.resnet_image import ResNetPlan, gsop_net1, gsop_net2, isqrt_net
from wholeframe.models.resnet_sites import STAGES
from wholeframe.models.zoo import image_published as sources
from wholeframe.models.zoo.card import Card
from wholeframe.models.zoo.image_plans import (
    cgnl_block,
    cgnlx_block,
    nl_block,
    plan_five,
    plan_gc,
    plan_one,
    plan_se,
    plan_snl,
    plan_ten,
)

BACKBONE_WEIGHTS = 'torchvision\'s, BSD-3-Clause (weights="DEFAULT")'
BACKBONE_ONLY = f"of the backbone: {BACKBONE_WEIGHTS}; with the blocks none known"
CGNL_WEIGHTS = f"KaiyuYue/cgnl-network.pytorch, MIT, ImageNet and CUB-200, as pickles; otherwise {BACKBONE_ONLY}"
ISQRT_WEIGHTS = "jiangtaoxie/fast-MPN-COV, MIT, ImageNet; files older than 2020 have the other order of the triangle"
SE_WEIGHTS = "mmpretrain, Apache-2.0; timm seresnet50, licence on its card; the authors' for Caffe, no licence stated"


def image_card(make: ResNetPlan, paper: str, *figures: sources.Figures, weights: str = BACKBONE_ONLY) -> Card:
    """The card of a ResNet with the blocks and changes of a paper."""
    return Card(
        make=make,
        input=(3, 224, 224),
        paper=paper,
        published=sum(figures, ()),
        weights=weights,
        backbone=f"torchvision/resnet{make.depth}",
        attach=make.attach,
        options=("stride",),
    )


# --------------------------------------------------------------------------------------------------------- paper lines

HE = "He et al., ResNet"
HU = "Hu et al., SENet: every block, before the sum"
GC_ALL = "Cao et al., GCNet: every block of res3, res4 and res5, before the sum"
GC_ONE = "Cao et al., GCNet: one block in res4; the paper does not say where, here before the last residual block"
WANG_ONE = "Wang et al., Non-local: one block, before the last residual block of res4; as compared in Yue et al., CGNL"
WANG_FIVE = "Wang et al., Non-local: two blocks in res3 and three in res4"
WANG_TEN = "Wang et al., Non-local: after every block of res3 and res4"
YUE_ONE = "Yue et al., CGNL: one block of 8 groups, before the last residual block of res4"
YUE_FIVE = "Yue et al., CGNL: five blocks of 8 groups; the paper does not say where, here at the sites of Wang et al."
GAO_1 = "Gao et al., GSoP-Net1: in the last block of every stage, before the sum"
GAO_2 = "Gao et al., GSoP-Net2: as GSoP-Net1 in res2 to res4, covariance pooling after res5"
LI = "Li et al., iSQRT-COV: covariance pooling after res5, 5 steps"
UNPUBLISHED = "; published for other backbones"


# --------------------------------------------------------------------------------------------------------- the networks

RESNETS: dict[str, Card] = {
    "r18": image_card(
        ResNetPlan(18),
        HE,
        sources.torchvision("69.758/89.078", "11,689,512", "1.814"),
        weights=BACKBONE_WEIGHTS,
    ),
    "r34": image_card(
        ResNetPlan(34),
        HE,
        sources.torchvision("73.314/91.420", "21,797,672", "3.664"),
        weights=BACKBONE_WEIGHTS,
    ),
    "r50": image_card(
        ResNetPlan(50),
        HE,
        sources.torchvision("76.130/92.862", "25,557,032", "4.089"),
        sources.gcnet("76.88/93.16", "25.56", "3.86"),
        sources.gsop("23.85/7.13"),
        sources.cub("84.05/96.00"),
        weights=BACKBONE_WEIGHTS,
    ),
    "r101": image_card(
        ResNetPlan(101),
        HE,
        sources.torchvision("77.374/93.546", "44,549,160", "7.801"),
        sources.cub("85.05/96.70"),
        weights=BACKBONE_WEIGHTS,
    ),
    "r152": image_card(
        ResNetPlan(152),
        HE,
        sources.torchvision("78.312/94.046", "60,192,808", "11.514"),
        weights=BACKBONE_WEIGHTS,
    ),
}

SE_NETS: dict[str, Card] = {
    "r18_se": image_card(plan_se(18), HU),
    "r34_se": image_card(plan_se(34), HU),
    "r50_se": image_card(
        plan_se(50),
        HU,
        sources.senet("22.37/6.36"),
        sources.gsop("23.29/6.62", "1.1", "1.0"),
        sources.mmpretrain("77.74/93.84", "28.09", "4.13"),
        weights=SE_WEIGHTS,
    ),
    "r101_se": image_card(
        plan_se(101),
        HU,
        sources.senet("21.75/5.72"),
        sources.mmpretrain("78.26/94.07", "49.33", "7.86"),
        weights=SE_WEIGHTS,
    ),
    "r152_se": image_card(plan_se(152), HU, sources.senet("21.34/5.54"), weights=SE_WEIGHTS),
}

GC_NETS: dict[str, Card] = {
    "r18_gc": image_card(plan_gc(18), GC_ALL + UNPUBLISHED),
    "r34_gc": image_card(plan_gc(34), GC_ALL + UNPUBLISHED),
    "r50_gc": image_card(
        plan_gc(50), GC_ALL, sources.gcnet("77.70/93.66", "28.08", "3.87"), sources.gcnet_code("28,078,773")
    ),
    "r101_gc": image_card(plan_gc(101), GC_ALL + UNPUBLISHED, sources.gcnet_code("49,337,222")),
    "r152_gc": image_card(plan_gc(152), GC_ALL + UNPUBLISHED),
    "r18_gc_r4": image_card(plan_gc(18, ratio=1 / 4), GC_ALL + UNPUBLISHED),
    "r34_gc_r4": image_card(plan_gc(34, ratio=1 / 4), GC_ALL + UNPUBLISHED),
    "r50_gc_r4": image_card(plan_gc(50, ratio=1 / 4), GC_ALL, sources.gcnet_code("35,557,941")),
    "r101_gc_r4": image_card(plan_gc(101, ratio=1 / 4), GC_ALL + UNPUBLISHED, sources.gcnet_code("63,510,854")),
    "r152_gc_r4": image_card(plan_gc(152, ratio=1 / 4), GC_ALL + UNPUBLISHED),
    "r50_gc_r8": image_card(plan_gc(50, ratio=1 / 8), GC_ALL, sources.gcnet_code("30,571,829")),
    "r50_gc_r32": image_card(plan_gc(50, ratio=1 / 32), GC_ALL, sources.gcnet_code("26,832,245")),
    "r50_gc_scale": image_card(plan_gc(50, fusion="multiply"), GC_ALL, sources.gcnet("77.34/93.48", "28.08", "3.87")),
    "r50_gc_avg": image_card(
        plan_gc(50, context="mean"),
        GC_ALL,
        sources.gcnet("77.40/93.60", "28.07", "3.87", m_differs=sources.FEWER_WEIGHTS, g_differs=sources.ELEMENTWISE),
    ),
    "r50_gc_avg_scale": image_card(
        plan_gc(50, context="mean", fusion="multiply"),
        f"{GC_ALL}; called SENet there",
        sources.gcnet("77.26/93.55", "28.07", "3.87", m_differs=sources.FEWER_WEIGHTS, g_differs=sources.ELEMENTWISE),
    ),
    "r50_gc1": image_card(plan_one(50, GlobalContext), GC_ONE, sources.gcnet("77.34/93.52", "25.69", "3.86")),
}

SNL_NETS: dict[str, Card] = {
    "r50_snl1": image_card(plan_one(50, SimplifiedNonLocal), GC_ONE, sources.gcnet("77.28/93.60", "26.61", "3.86")),
    **{f"r{depth}_snl": image_card(plan_snl(depth), GC_ALL + "; SNL not published there") for depth in STAGES},
}

NL_NETS: dict[str, Card] = {
    "r18_nl1": image_card(plan_one(18, nl_block), WANG_ONE + UNPUBLISHED),
    "r34_nl1": image_card(plan_one(34, nl_block), WANG_ONE + UNPUBLISHED),
    "r50_nl1": image_card(
        plan_one(50, nl_block),
        WANG_ONE,
        sources.gcnet("77.20/93.51", "27.66", "4.11", g_differs=sources.KEYS),
        sources.cub("84.79/96.76"),
        sources.cgnl_readme_cub("86.69/96.95"),
        sources.cgnl_code("27,656,232", "4.54"),
        weights=CGNL_WEIGHTS,
    ),
    "r101_nl1": image_card(
        plan_one(101, nl_block),
        WANG_ONE,
        sources.cub("85.49/97.04"),
        sources.cgnl_readme_cub("87.04/97.01"),
        weights=CGNL_WEIGHTS,
    ),
    "r152_nl1": image_card(plan_one(152, nl_block), WANG_ONE + UNPUBLISHED),
    "r34_nl5": image_card(plan_five(34, nl_block), WANG_FIVE + UNPUBLISHED),
    "r50_nl5": image_card(plan_five(50, nl_block), WANG_FIVE, sources.cub("85.10/96.18")),
    "r101_nl5": image_card(plan_five(101, nl_block), WANG_FIVE, sources.cub("86.10/96.35")),
    "r34_nl10": image_card(plan_ten(34, nl_block), WANG_TEN + UNPUBLISHED),
    "r50_nl10": image_card(plan_ten(50, nl_block), WANG_TEN + "; on video only"),
}

CGNL_NETS: dict[str, Card] = {
    "r18_cgnl1": image_card(plan_one(18, cgnl_block), YUE_ONE + UNPUBLISHED),
    "r34_cgnl1": image_card(plan_one(34, cgnl_block), YUE_ONE + UNPUBLISHED),
    "r50_cgnl1": image_card(
        plan_one(50, cgnl_block),
        YUE_ONE,
        sources.cgnl_readme("77.69/93.63"),
        sources.cub("85.14/96.88"),
        sources.cgnl_readme_cub("87.06/96.91"),
        sources.cgnl_code("27,197,480", "4.41"),
        weights=CGNL_WEIGHTS,
    ),
    "r101_cgnl1": image_card(
        plan_one(101, cgnl_block),
        YUE_ONE,
        sources.cub("86.35/97.86"),
        sources.cgnl_readme_cub("87.28/97.20"),
        sources.cgnl_code("46,189,608"),
        weights=CGNL_WEIGHTS,
    ),
    "r152_cgnl1": image_card(
        plan_one(152, cgnl_block),
        YUE_ONE,
        sources.cgnl_readme("79.53/94.52"),
        sources.cgnl_code("61,833,256"),
        weights=CGNL_WEIGHTS,
    ),
    "r34_cgnl5": image_card(plan_five(34, cgnl_block), YUE_FIVE + UNPUBLISHED),
    "r50_cgnl5": image_card(plan_five(50, cgnl_block), YUE_FIVE, sources.cub("85.68/96.69")),
    "r101_cgnl5": image_card(plan_five(101, cgnl_block), YUE_FIVE, sources.cub("86.24/97.23")),
    "r50_cgnlx1": image_card(
        plan_one(50, cgnlx_block),
        YUE_ONE,
        sources.cgnl_readme("77.32/93.40"),
        sources.cgnl_readme_cub("86.56/96.63"),
        sources.cgnl_code("27,197,480", "4.41"),
        weights=CGNL_WEIGHTS,
    ),
    "r101_cgnlx1": image_card(
        plan_one(101, cgnlx_block), YUE_ONE, sources.cgnl_readme_cub("87.18/97.03"), weights=CGNL_WEIGHTS
    ),
    "r152_cgnlx1": image_card(
        plan_one(152, cgnlx_block), YUE_ONE, sources.cgnl_readme("79.37/94.47"), weights=CGNL_WEIGHTS
    ),
    "r50_cgnlx5": image_card(plan_five(50, cgnlx_block), YUE_FIVE + UNPUBLISHED),
    "r101_cgnlx5": image_card(plan_five(101, cgnlx_block), YUE_FIVE + UNPUBLISHED),
}

GSOP1_NETS: dict[str, Card] = {
    "gsop1_r50": image_card(
        gsop_net1(50),
        GAO_1,
        sources.gsop_readme("22.02/5.88"),
        sources.gsop("22.32/6.02", "1.1", "1.6"),
        sources.gsop_code("28,285,224", "6.56"),
        sources.ecanet("28.05", "6.18"),
    ),
    "gsop1_r50_position": image_card(gsop_net1(50, "position"), GAO_1, sources.gsop_code("26,182,952")),
    "gsop1_r50_sum": image_card(gsop_net1(50, "sum"), GAO_1, sources.gsop_code("28,911,144")),
    "gsop1_r50_max": image_card(gsop_net1(50, "max"), GAO_1, sources.gsop_code("28,911,144")),
    "gsop1_r50_concat": image_card(gsop_net1(50, "concat"), GAO_1, sources.gsop_code("32,105,000")),
    "gsop1_r101": image_card(gsop_net1(101), GAO_1 + UNPUBLISHED, sources.gsop_code("47,277,352")),
}

GSOP2_NETS: dict[str, Card] = {
    "gsop2_r50": image_card(
        gsop_net2(50),
        GAO_2,
        sources.gsop("21.19/5.64", "2.3", "1.7", differs=sources.CENTRING),
        sources.gsop_code("58,278,568", "6.76"),
    ),
    "gsop2_r50_position": image_card(gsop_net2(50, "position"), GAO_2, sources.gsop_code("57,260,008")),
    "gsop2_r50_sum": image_card(gsop_net2(50, "sum"), GAO_2, sources.gsop_code("58,608,744")),
    "gsop2_r50_max": image_card(gsop_net2(50, "max"), GAO_2, sources.gsop_code("58,608,744")),
    "gsop2_r50_concat": image_card(gsop_net2(50, "concat"), GAO_2, sources.gsop_code("60,483,688")),
    "gsop2_r101": image_card(gsop_net2(101), GAO_2 + UNPUBLISHED, sources.gsop_code("77,270,696")),
}

ISQRT_NETS: dict[str, Card] = {
    "isqrt_r50": image_card(
        isqrt_net(50),
        LI,
        sources.gsop("22.14/6.22", "2.2", "1.6"),
        sources.isqrt("22.14/6.22"),
        sources.isqrt_readme("21.71/6.13"),
        sources.gsop_code("56,929,832"),
        weights=ISQRT_WEIGHTS,
    ),
    "isqrt_r101": image_card(
        isqrt_net(101),
        LI,
        sources.isqrt("21.21/5.68"),
        sources.isqrt_readme("20.99/5.56"),
        sources.gsop_code("75,921,960"),
        weights=ISQRT_WEIGHTS,
    ),
}

FAMILIES = {  # recipe -> the networks that it trains
    "imagenet": {**RESNETS, **SE_NETS, **GC_NETS, **SNL_NETS},
    "imagenet_cgnl": {**NL_NETS, **CGNL_NETS},
    "imagenet_gsop1": GSOP1_NETS,
    "imagenet_gsop2": GSOP2_NETS,
    "imagenet_isqrt": ISQRT_NETS,
}
IMAGE_MODELS: dict[str, Card] = {
    name: replace(card, command=f"wholeframe train {recipe} --backbone {name} --data DIR --out runs/{name}")
    for recipe, family in FAMILIES.items()
    for name, card in family.items()
}
