"""Tables of Cao et al., "GCNet", 2019 (arXiv 1904.11492), and one each of CGNL and GSoP, on the task `gist`."""

from functools import partial
from typing import Any

from wholeframe.recipes.tables.table import LAST, Row, Table, arm

PAPER = "Cao et al., GCNet, 2019 (arXiv 1904.11492)"
COCO = "box AP / mask AP on COCO val2017, Mask R-CNN, ResNet-50-FPN"
IMAGENET = "top-1 / top-5 in % on ImageNet, ResNet-50"
OWN_RATIO = "The small network has 32 channels; without another ratio, GC has 8 hidden channels (1/4)."

gist = partial(arm, task="gist")
BASE = Row("baseline", gist(), "37.2 / 33.8")
C3, C4, C5 = "layer2.*.bn", "layer3.*.bn", "layer4.*.bn"
ALL = (C3, C4, C5)


def ratio(denominator: int) -> dict[str, Any]:
    """The options of GC with this ratio; one hidden channel suffices."""
    return {"ratio": 1 / denominator, "min_hidden": 1}


KERNELS = {"Gaussian": "nl_gaussian", "E-Gaussian": "nl", "dot": "nl_dot", "concat": "nl_concatenation"}

TABLES: dict[str, Table] = {
    "gcnet-1": Table(
        "Do non-local blocks depend on the query?",
        f"{PAPER}, table 1",
        "box AP / mask AP on COCO, or top-1 / top-5 in % on Kinetics; then cosine distances of input, output and "
        "attention, and the Jensen-Shannon divergence of attention",
        (
            Row("COCO, baseline", gist()),
            *(
                Row(f"COCO, {label}", gist(block), published)
                for (label, block), published in zip(
                    KERNELS.items(),
                    (
                        "38.0 / 34.8; .397 .062 .177 .065",
                        "38.0 / 34.7; .402 .012 .020 .011",
                        "38.1 / 34.8; .405 .020 .015 -",
                        "38.0 / 34.9; .393 .003 .004 -",
                    ),
                    strict=True,
                )
            ),
            Row("Kinetics, baseline", arm()),
            *(
                Row(f"Kinetics, {label}", arm(block), published)
                for (label, block), published in zip(
                    KERNELS.items(),
                    (
                        "76.0 / 92.3; .345 .056 .056 .021",
                        "75.9 / 92.2; .358 .003 .004 .015",
                        "76.0 / 92.3; .353 .095 .099 -",
                        "75.4 / 92.2; .354 .048 .049 -",
                    ),
                    strict=True,
                )
            ),
        ),
        "In the place of COCO there is gist, which one summary solves, in that of Kinetics recall_clips, which needs "
        "the query.",
        statistics=True,
    ),
    "gcnet-2a": Table(
        "Block design",
        f"{PAPER}, table 2a",
        COCO,
        (
            BASE,
            Row("+1 NL", gist("nl"), "38.0 / 34.7"),
            Row("+1 SNL", gist("snl"), "38.1 / 35.0"),
            Row("+1 GC", gist("gc"), "38.1 / 34.9"),
            Row("+all GC", gist("gc", ALL), "39.4 / 35.7"),
        ),
        OWN_RATIO,
    ),
    "gcnet-2b": Table(
        "Positions",
        f"{PAPER}, table 2b",
        COCO,
        (
            BASE,
            Row("afterAdd", gist("gc", ("layer2.*", "layer3.*", "layer4.*")), "39.4 / 35.8"),
            Row("after1x1", gist("gc", ALL), "39.4 / 35.7"),
        ),
        OWN_RATIO,
    ),
    "gcnet-2c": Table(
        "Stages",
        f"{PAPER}, table 2c",
        COCO,
        (
            BASE,
            Row("c3", gist("gc", (C3,)), "37.9 / 34.5"),
            Row("c4", gist("gc", (C4,)), "38.9 / 35.5"),
            Row("c5", gist("gc", (C5,)), "38.7 / 35.2"),
            Row("c3+c4+c5", gist("gc", ALL), "39.4 / 35.7"),
        ),
        OWN_RATIO,
    ),
    "gcnet-2d": Table(
        "Bottleneck design",
        f"{PAPER}, table 2d",
        COCO,
        (
            BASE,
            Row("w/o ratio", gist("snl", ALL), "39.4 / 35.9"),
            Row("r16 + ReLU", gist("gc", ALL, **ratio(16), norm=None), "38.8 / 35.4"),
            Row("r16 + LN + ReLU", gist("gc", ALL, **ratio(16)), "39.4 / 35.7"),
        ),
        "The row r16 without LN and ReLU is left out: the block has no such option.",
    ),
    "gcnet-2e": Table(
        "Bottleneck ratio",
        f"{PAPER}, table 2e",
        COCO,
        (
            BASE,
            Row("ratio 4", gist("gc", ALL, **ratio(4)), "39.9 / 36.2"),
            Row("ratio 8", gist("gc", ALL, **ratio(8)), "39.5 / 35.9"),
            Row("ratio 16", gist("gc", ALL, **ratio(16)), "39.4 / 35.7"),
            Row("ratio 32", gist("gc", ALL, **ratio(32)), "39.1 / 35.7"),
        ),
        "The small network has 32 channels, so that ratio 32 leaves one.",
    ),
    "gcnet-2f": Table(
        "Pooling and fusion",
        f"{PAPER}, table 2f",
        COCO,
        (
            BASE,
            Row("avg + scale (SE)", gist("gc", ALL, context="mean", fusion="multiply", init="random"), "38.2 / 34.7"),
            Row("avg + add", gist("gc", ALL, context="mean"), "39.1 / 35.6"),
            Row("att + scale", gist("gc", ALL, fusion="multiply", init="random"), "38.3 / 34.8"),
            Row("att + add", gist("gc", ALL), "39.4 / 35.7"),
        ),
        OWN_RATIO,
    ),
    "gcnet-4": Table(
        "Blocks on ImageNet, with SE and CBAM",
        f"{PAPER}, table 4; SE and CBAM: 100 less the errors in Gao et al., GSoP, preprint of January 2019, table 5",
        IMAGENET,
        (
            Row("baseline", gist(), "76.88 / 93.16"),
            Row("+1 NL", gist("nl"), "77.20 / 93.51"),
            Row("+1 SNL", gist("snl"), "77.28 / 93.60"),
            Row("+1 GC", gist("gc"), "77.34 / 93.52"),
            Row("+all GC", gist("gc", ALL), "77.70 / 93.66"),
            Row("+all SE", gist("se", ("layer[1-4].*.bn",)), "76.71 / 93.38"),
            Row("+all CBAM", gist("cbam", ("layer[1-4].*.bn",)), "77.34 / 93.69"),
        ),
        OWN_RATIO,
    ),
    "cgnl-3": Table(
        "The control with a plain residual block",
        "Yue et al., CGNL, NeurIPS 2018, table 3",
        "top-1 / top-5 in % on CUB-200, ResNet-50",
        (
            Row("baseline", gist(), "84.05 / 96.00"),
            Row("+1 residual block", gist(host="c2d_plain1"), "84.11 / 96.23"),
            Row("+1 CGNL", gist("cgnl", LAST), "85.14 / 96.88"),
        ),
    ),
    "gsop-positions": Table(
        "Positions of a channel-wise GSoP block",
        "Gao et al., GSoP, CVPR 2019, table 4",
        "none: no figure of this table was confirmed, so that none is printed",
        (
            Row("baseline", gist()),
            Row("end of res2", gist("gsop_channel", ("layer1.0.bn",))),
            Row("end of res3", gist("gsop_channel", ("layer2.3.bn",))),
            Row("end of res4", gist("gsop_channel", ("layer3.5.bn",))),
            Row("end of res5", gist("gsop_channel", ("layer4.0.bn",))),
            Row("all four", gist("gsop_channel", ("layer1.0.bn", "layer2.3.bn", "layer3.5.bn", "layer4.0.bn"))),
        ),
    ),
}
