"""The image networks by name, with their cards.

A name reads host, depth, block: `r50_gc`. The number behind the block counts blocks, `r50_nl5`; without one the blocks
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
from wholeframe.models.card import Network, Published
from wholeframe.models.image import (
    STAGES,
    Depth,
    ResNet,
    all_of_res3_and_res4,
    before_last,
    branches,
    every_other,
    gsop_net1,
    gsop_net2,
    isqrt_net,
)

# ------------------------------------------------------------------------------------------------------------ sources

GCNET = "Cao et al., GCNet (arXiv 1904.11492), table 4"
GCNET_CODE = "counted in xvjiarui/GCNet@029db540"
CGNL_CUB = "Yue et al., CGNL (NeurIPS 2018), table 4b: CUB-200, 448 pixels, 200 classes"
CGNL_README = "KaiyuYue/cgnl-network.pytorch, README: ImageNet, fine-tuned"
CGNL_README_CUB = "KaiyuYue/cgnl-network.pytorch, README: CUB-200, 448 pixels, best of several runs"
CGNL_CODE = "counted in KaiyuYue/cgnl-network.pytorch@33e348b"
GSOP = "Gao et al., GSoP, arXiv preprint of January 2019, table 5"
GSOP_README = "ZilinGao/Global-Second-order-Pooling-Convolutional-Networks, README"
GSOP_CODE = "counted in ZilinGao/Global-Second-order-Pooling-Convolutional-Networks@662a699"
ISQRT = "Li et al., iSQRT-COV (CVPR 2018), as in the README of jiangtaoxie/fast-MPN-COV"
ISQRT_README = "jiangtaoxie/fast-MPN-COV, README: reproduced"
SENET = "hujie-frank/SENet, README"
ECA = "ECA-Net (CVPR 2020), its table, quoting GSoP: rounded multiples of ResNet-50, no count"
MMPRETRAIN = "open-mmlab/mmpretrain@ee7f2e8, seresnet metafile"
TORCHVISION = "torchvision, table of weights, IMAGENET1K_V1"

HOST_ONLY = 'of the host: torchvision\'s, BSD-3-Clause (weights="DEFAULT"); with the blocks none known'
TORCHVISION_WEIGHTS = 'torchvision\'s, BSD-3-Clause (weights="DEFAULT")'
CGNL_WEIGHTS = f"KaiyuYue/cgnl-network.pytorch, MIT, ImageNet and CUB-200, as pickles; else {HOST_ONLY}"
ISQRT_WEIGHTS = "jiangtaoxie/fast-MPN-COV, MIT, ImageNet; files from before 2020 have the other order of the triangle"
SE_WEIGHTS = "mmpretrain, Apache-2.0; timm seresnet50, licence on its card; the authors' for Caffe, no licence stated"

CENTRING = "the released code centres by a product with a matrix of all positions; ours subtracts the mean"
KEYS = (
    "4.11 is reached with keys pooled before the projections and without the two products of the attention; the "
    "paper's code for it was not released"
)
ELEMENTWISE = "the published figure is reached where the mean and the product or sum with every position count as well"
MEAN = "the mean has 14,349 weights fewer than the attention of att+add, which takes 28.08 to 28.06"

# -------------------------------------------------------------------------------------------------------------- cards


def network(make: ResNet, paper: str, *published: tuple[Published, ...], weights: str = HOST_ONLY) -> Network:
    """The card of a ResNet with what a paper makes of it."""
    return Network(
        make=make,
        input=(3, 224, 224),
        paper=paper,
        published=sum(published, ()),
        weights=weights,
        host=f"torchvision/resnet{make.depth}",
        attach=make.attach,
    )


def top(one: str, five: str, source: str) -> tuple[Published, ...]:
    return Published(one, "top-1 %", source), Published(five, "top-5 %", source)


def error(one: str, five: str, source: str) -> tuple[Published, ...]:
    return Published(one, "top-1 error %", source), Published(five, "top-5 error %", source)


def counted(parameters: str, source: str) -> tuple[Published, ...]:
    """Every digit: counted by running the released code."""
    return (Published(parameters, "parameters", source),)


def adds(figure: str, source: str, differs: str = "") -> tuple[Published, ...]:
    return (Published(figure, "G multiply-adds", source, differs=differs),)


def gcnet(one: str, five: str, m: str, g: str, *, m_differs: str = "", g_differs: str = "") -> tuple[Published, ...]:
    """A row of GCNet's table 4, whose multiply-adds are those of a stride in the first 1x1 convolution."""
    return (
        *top(one, five, GCNET),
        Published(m, "M parameters", GCNET, differs=m_differs),
        Published(g, "G multiply-adds", GCNET, options={"stride": "1x1"}, differs=g_differs),
    )


def mmpretrain(one: str, five: str, m: str, g: str) -> tuple[Published, ...]:
    """An entry of mmpretrain's metafile, whose multiply-adds count everything."""
    return (
        *top(one, five, MMPRETRAIN),
        Published(m, "M parameters", MMPRETRAIN),
        *adds(g, MMPRETRAIN, differs="norms, activations and poolings are counted there as well"),
    )


def times(parameters: str, multiply_adds: str, differs: str = "") -> tuple[Published, ...]:
    """GSoP's table 5 gives sizes as multiples of ResNet-50."""
    return (
        Published(parameters, "x parameters", GSOP, base="r50"),
        Published(multiply_adds, "x multiply-adds", GSOP, base="r50", differs=differs),
    )


# ------------------------------------------------------------------------------------------------------------- blocks

# As in the released code of CGNL, and as its ResNets compare: no biases, softmax over keys that are not pooled.
nl = partial(NonLocal, bias=False, out_bias=False, scale="sqrt_dim")
cgnl = partial(CGNL, groups=8)
cgnlx = partial(CGNL, groups=8, kernel="taylor", order=3)


def gc(depth: Depth, **options: Any) -> ResNet:
    return ResNet(depth, partial(GlobalContext, **options), branches(depth, 3, 4, 5))


def se(depth: Depth) -> ResNet:
    return ResNet(depth, SqueezeExcite, branches(depth, 2, 3, 4, 5))


def snl(depth: Depth) -> ResNet:
    return ResNet(depth, SimplifiedNonLocal, branches(depth, 3, 4, 5))


def one(depth: Depth, block: Callable[[int], nn.Module]) -> ResNet:
    return ResNet(depth, block, before_last(depth))


def five(depth: Depth, block: Callable[[int], nn.Module]) -> ResNet:
    return ResNet(depth, block, every_other(depth))


def ten(depth: Depth, block: Callable[[int], nn.Module]) -> ResNet:
    return ResNet(depth, block, all_of_res3_and_res4())


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
UNPUBLISHED = "; not on this host"


# --------------------------------------------------------------------------------------------------------- the networks

HOSTS: dict[str, Network] = {
    "r18": network(
        ResNet(18),
        HE,
        top("69.758", "89.078", TORCHVISION),
        counted("11,689,512", TORCHVISION),
        adds("1.814", TORCHVISION),
        weights=TORCHVISION_WEIGHTS,
    ),
    "r34": network(
        ResNet(34),
        HE,
        top("73.314", "91.420", TORCHVISION),
        counted("21,797,672", TORCHVISION),
        adds("3.664", TORCHVISION),
        weights=TORCHVISION_WEIGHTS,
    ),
    "r50": network(
        ResNet(50),
        HE,
        top("76.130", "92.862", TORCHVISION),
        counted("25,557,032", TORCHVISION),
        adds("4.089", TORCHVISION),
        gcnet("76.88", "93.16", "25.56", "3.86"),
        error("23.85", "7.13", GSOP),
        top("84.05", "96.00", CGNL_CUB),
        weights=TORCHVISION_WEIGHTS,
    ),
    "r101": network(
        ResNet(101),
        HE,
        top("77.374", "93.546", TORCHVISION),
        counted("44,549,160", TORCHVISION),
        adds("7.801", TORCHVISION),
        top("85.05", "96.70", CGNL_CUB),
        weights=TORCHVISION_WEIGHTS,
    ),
    "r152": network(
        ResNet(152),
        HE,
        top("78.312", "94.046", TORCHVISION),
        counted("60,192,808", TORCHVISION),
        adds("11.514", TORCHVISION),
        weights=TORCHVISION_WEIGHTS,
    ),
}

SE: dict[str, Network] = {
    "r18_se": network(se(18), HU),
    "r34_se": network(se(34), HU),
    "r50_se": network(
        se(50),
        HU,
        error("22.37", "6.36", SENET),
        error("23.29", "6.62", GSOP),
        times("1.1", "1.0"),
        mmpretrain("77.74", "93.84", "28.09", "4.13"),
        weights=SE_WEIGHTS,
    ),
    "r101_se": network(
        se(101),
        HU,
        error("21.75", "5.72", SENET),
        mmpretrain("78.26", "94.07", "49.33", "7.86"),
        weights=SE_WEIGHTS,
    ),
    "r152_se": network(se(152), HU, error("21.34", "5.54", SENET), weights=SE_WEIGHTS),
}

GC: dict[str, Network] = {
    "r18_gc": network(gc(18), GC_ALL + UNPUBLISHED),
    "r34_gc": network(gc(34), GC_ALL + UNPUBLISHED),
    "r50_gc": network(gc(50), GC_ALL, gcnet("77.70", "93.66", "28.08", "3.87"), counted("28,078,773", GCNET_CODE)),
    "r101_gc": network(gc(101), GC_ALL + UNPUBLISHED, counted("49,337,222", GCNET_CODE)),
    "r152_gc": network(gc(152), GC_ALL + UNPUBLISHED),
    "r18_gc_r4": network(gc(18, ratio=1 / 4), GC_ALL + UNPUBLISHED),
    "r34_gc_r4": network(gc(34, ratio=1 / 4), GC_ALL + UNPUBLISHED),
    "r50_gc_r4": network(gc(50, ratio=1 / 4), GC_ALL, counted("35,557,941", GCNET_CODE)),
    "r101_gc_r4": network(gc(101, ratio=1 / 4), GC_ALL + UNPUBLISHED, counted("63,510,854", GCNET_CODE)),
    "r152_gc_r4": network(gc(152, ratio=1 / 4), GC_ALL + UNPUBLISHED),
    "r50_gc_r8": network(gc(50, ratio=1 / 8), GC_ALL, counted("30,571,829", GCNET_CODE)),
    "r50_gc_r32": network(gc(50, ratio=1 / 32), GC_ALL, counted("26,832,245", GCNET_CODE)),
    "r50_gc_scale": network(gc(50, fusion="multiply"), GC_ALL, gcnet("77.34", "93.48", "28.08", "3.87")),
    "r50_gc_avg": network(
        gc(50, context="mean"),
        GC_ALL,
        gcnet("77.40", "93.60", "28.07", "3.87", m_differs=MEAN, g_differs=ELEMENTWISE),
    ),
    "r50_gc_avg_scale": network(
        gc(50, context="mean", fusion="multiply"),
        f"{GC_ALL}; called SENet there",
        gcnet("77.26", "93.55", "28.07", "3.87", m_differs=MEAN, g_differs=ELEMENTWISE),
    ),
    "r50_gc1": network(one(50, GlobalContext), GC_ONE, gcnet("77.34", "93.52", "25.69", "3.86")),
}

SNL: dict[str, Network] = {
    "r50_snl1": network(one(50, SimplifiedNonLocal), GC_ONE, gcnet("77.28", "93.60", "26.61", "3.86")),
    **{f"r{depth}_snl": network(snl(depth), GC_ALL + "; SNL not published there") for depth in STAGES},
}

NL: dict[str, Network] = {
    "r18_nl1": network(one(18, nl), WANG_ONE + UNPUBLISHED),
    "r34_nl1": network(one(34, nl), WANG_ONE + UNPUBLISHED),
    "r50_nl1": network(
        one(50, nl),
        WANG_ONE,
        gcnet("77.20", "93.51", "27.66", "4.11", g_differs=KEYS),
        top("84.79", "96.76", CGNL_CUB),
        top("86.69", "96.95", CGNL_README_CUB),
        counted("27,656,232", CGNL_CODE),
        adds("4.54", CGNL_CODE),
        weights=CGNL_WEIGHTS,
    ),
    "r101_nl1": network(
        one(101, nl),
        WANG_ONE,
        top("85.49", "97.04", CGNL_CUB),
        top("87.04", "97.01", CGNL_README_CUB),
        weights=CGNL_WEIGHTS,
    ),
    "r152_nl1": network(one(152, nl), WANG_ONE + UNPUBLISHED),
    "r34_nl5": network(five(34, nl), WANG_FIVE + UNPUBLISHED),
    "r50_nl5": network(five(50, nl), WANG_FIVE, top("85.10", "96.18", CGNL_CUB)),
    "r101_nl5": network(five(101, nl), WANG_FIVE, top("86.10", "96.35", CGNL_CUB)),
    "r34_nl10": network(ten(34, nl), WANG_TEN + UNPUBLISHED),
    "r50_nl10": network(ten(50, nl), WANG_TEN + "; on video only"),
}

CGNLS: dict[str, Network] = {
    "r18_cgnl1": network(one(18, cgnl), YUE_ONE + UNPUBLISHED),
    "r34_cgnl1": network(one(34, cgnl), YUE_ONE + UNPUBLISHED),
    "r50_cgnl1": network(
        one(50, cgnl),
        YUE_ONE,
        top("77.69", "93.63", CGNL_README),
        top("85.14", "96.88", CGNL_CUB),
        top("87.06", "96.91", CGNL_README_CUB),
        counted("27,197,480", CGNL_CODE),
        adds("4.41", CGNL_CODE),
        weights=CGNL_WEIGHTS,
    ),
    "r101_cgnl1": network(
        one(101, cgnl),
        YUE_ONE,
        top("86.35", "97.86", CGNL_CUB),
        top("87.28", "97.20", CGNL_README_CUB),
        counted("46,189,608", CGNL_CODE),
        weights=CGNL_WEIGHTS,
    ),
    "r152_cgnl1": network(
        one(152, cgnl),
        YUE_ONE,
        top("79.53", "94.52", CGNL_README),
        counted("61,833,256", CGNL_CODE),
        weights=CGNL_WEIGHTS,
    ),
    "r34_cgnl5": network(five(34, cgnl), YUE_FIVE + UNPUBLISHED),
    "r50_cgnl5": network(five(50, cgnl), YUE_FIVE, top("85.68", "96.69", CGNL_CUB)),
    "r101_cgnl5": network(five(101, cgnl), YUE_FIVE, top("86.24", "97.23", CGNL_CUB)),
    "r50_cgnlx1": network(
        one(50, cgnlx),
        YUE_ONE,
        top("77.32", "93.40", CGNL_README),
        top("86.56", "96.63", CGNL_README_CUB),
        counted("27,197,480", CGNL_CODE),
        adds("4.41", CGNL_CODE),
        weights=CGNL_WEIGHTS,
    ),
    "r101_cgnlx1": network(one(101, cgnlx), YUE_ONE, top("87.18", "97.03", CGNL_README_CUB), weights=CGNL_WEIGHTS),
    "r152_cgnlx1": network(one(152, cgnlx), YUE_ONE, top("79.37", "94.47", CGNL_README), weights=CGNL_WEIGHTS),
    "r50_cgnlx5": network(five(50, cgnlx), YUE_FIVE + UNPUBLISHED),
    "r101_cgnlx5": network(five(101, cgnlx), YUE_FIVE + UNPUBLISHED),
}

SECOND_ORDER: dict[str, Network] = {
    "gsop1_r50": network(
        gsop_net1(50),
        GAO_1,
        error("22.02", "5.88", GSOP_README),
        error("22.32", "6.02", GSOP),
        times("1.1", "1.6"),
        counted("28,285,224", GSOP_CODE),
        adds("6.56", GSOP_CODE, differs=CENTRING),
        (Published("28.05", "M parameters", ECA, confirmed=False),),
        (Published("6.18", "G multiply-adds", ECA, confirmed=False),),
    ),
    "gsop1_r50_position": network(gsop_net1(50, "position"), GAO_1, counted("26,182,952", GSOP_CODE)),
    "gsop1_r50_sum": network(gsop_net1(50, "sum"), GAO_1, counted("28,911,144", GSOP_CODE)),
    "gsop1_r50_max": network(gsop_net1(50, "max"), GAO_1, counted("28,911,144", GSOP_CODE)),
    "gsop1_r50_concat": network(gsop_net1(50, "concat"), GAO_1, counted("32,105,000", GSOP_CODE)),
    "gsop1_r101": network(gsop_net1(101), GAO_1 + UNPUBLISHED, counted("47,277,352", GSOP_CODE)),
    "gsop2_r50": network(
        gsop_net2(50),
        GAO_2,
        error("21.19", "5.64", GSOP),
        times("2.3", "1.7", differs=CENTRING),
        counted("58,278,568", GSOP_CODE),
        adds("6.76", GSOP_CODE, differs=CENTRING),
    ),
    "gsop2_r50_position": network(gsop_net2(50, "position"), GAO_2, counted("57,260,008", GSOP_CODE)),
    "gsop2_r50_sum": network(gsop_net2(50, "sum"), GAO_2, counted("58,608,744", GSOP_CODE)),
    "gsop2_r50_max": network(gsop_net2(50, "max"), GAO_2, counted("58,608,744", GSOP_CODE)),
    "gsop2_r50_concat": network(gsop_net2(50, "concat"), GAO_2, counted("60,483,688", GSOP_CODE)),
    "gsop2_r101": network(gsop_net2(101), GAO_2 + UNPUBLISHED, counted("77,270,696", GSOP_CODE)),
    "isqrt_r50": network(
        isqrt_net(50),
        LI,
        error("22.14", "6.22", ISQRT),
        error("21.71", "6.13", ISQRT_README),
        times("2.2", "1.6"),
        counted("56,929,832", GSOP_CODE),
        weights=ISQRT_WEIGHTS,
    ),
    "isqrt_r101": network(
        isqrt_net(101),
        LI,
        error("21.21", "5.68", ISQRT),
        error("20.99", "5.56", ISQRT_README),
        counted("75,921,960", GSOP_CODE),
        weights=ISQRT_WEIGHTS,
    ),
}

IMAGES: dict[str, Network] = {
    name: replace(card, command=f"wholeframe train imagenet --host {name} --block None --data DIR --out runs/{name}")
    for name, card in {**HOSTS, **SE, **GC, **SNL, **NL, **CGNLS, **SECOND_ORDER}.items()
}
