"""The detectors by name, with their cards.

A name is detector, backbone and block: `maskrcnn_r50_gc`. `nl4` are the four blocks of a keypoint head, and `nl5` those
and one more in the backbone.
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from wholeframe.blocks import CGNL, GlobalContext, GSoPChannel, NonLocal, SimplifiedNonLocal, SqueezeExcite
from wholeframe.models.detector import DetectorPlan, Kind
from wholeframe.models.resnet_sites import Depth, before_last, branches, last_branches
from wholeframe.models.zoo.card import Card, FigureUnit, Published

GCNET = "Cao et al., GCNet (arXiv 1904.11492), table {}: COCO val2017, 1x, SyncBN"
NONLOCAL = "Wang et al., Non-local (CVPR 2018), table {}: COCO"
CGNL_COCO = "Yue et al., CGNL (NeurIPS 2018), table 4c: COCO"
BACKGROUND = (
    "torchvision's heads also predict a box and a mask of the background, 4,357 weights that the authors' heads do not "
    "have"
)
HEADS = "torchvision's weights of COCO for the detector, BSD-3-Clause; with the blocks none known"
IMAGE = (3, 800, 1344)  # 1333 x 800 as the detector pads it


def detector_card(make: DetectorPlan, paper: str, *figures: tuple[Published, ...], num_classes: int = 81) -> Card:
    """The card of a detector; its multiply-adds are those of the ResNet with the pyramid."""
    return Card(
        make=make,
        input=(3, 256, 384) if make.body == "tiny" else IMAGE,
        paper=paper,
        num_classes=num_classes,
        published=sum(figures, ()),
        weights="none" if make.body == "tiny" else HEADS,
        attach=make.attach,
        counted="backbone",
        options=("norm",),
    )


def precision(box: str, mask: str, source: str) -> tuple[Published, ...]:
    """Average precisions of boxes and masks, over overlaps of 0.5 to 0.95."""
    return Published(box, "box AP", source), Published(mask, "mask AP", source)


def gcnet(box: str, mask: str, m: str = "", *, table: str = "2", differs: str = "") -> tuple[Published, ...]:
    source = GCNET.format(table)
    unit: FigureUnit = "M parameters"
    return *precision(box, mask, source), *([Published(m, unit, source, differs=differs)] if m else [])


def keypoints(ap: str) -> tuple[Published, ...]:
    return (Published(ap, "keypoint AP", NONLOCAL.format("6")),)


GC_ALL = "Cao et al., GCNet: every block of res3, res4 and res5, before the sum"
ONE = "before the last residual block of res4"
GC_ONE = f"Cao et al., GCNet: one block; the paper does not say where in res4, here {ONE}"
WANG = f"Wang et al., Non-local: one block, {ONE}"
HE = "He et al., Mask R-CNN"
UNPUBLISHED = "; published for other detectors"
TINY = "; small enough for a laptop"

Block = Callable[[int], nn.Module]
gc_r4 = partial(GlobalContext, ratio=1 / 4)
cgnl = partial(CGNL, groups=8)
RESNETS: dict[str, tuple[str, Depth]] = {
    "r18": ("resnet18", 18),
    "r50": ("resnet50", 50),
    "r101": ("resnet101", 101),
    "x101": ("resnext101_32x4d", 101),
    "tiny": ("tiny", 18),
}


def bare(kind: Kind, resnet: str) -> DetectorPlan:
    """The detector without blocks."""
    return DetectorPlan(kind, RESNETS[resnet][0])


def everywhere(kind: Kind, resnet: str, block: Block, *stages: int) -> DetectorPlan:
    """A block before the sum of every residual block of these stages."""
    body, depth = RESNETS[resnet]
    return DetectorPlan(kind, body, block, branches(depth, *stages))


def one(kind: Kind, resnet: str, block: Block) -> DetectorPlan:
    """One block before the last residual block of res4."""
    body, depth = RESNETS[resnet]
    return DetectorPlan(kind, body, block, before_last(depth))


DETECTION_MODELS: dict[str, Card] = {
    "maskrcnn_r18": detector_card(bare("maskrcnn", "r18"), HE),
    "maskrcnn_r18_gc": detector_card(everywhere("maskrcnn", "r18", GlobalContext, 3, 4, 5), GC_ALL + UNPUBLISHED),
    "maskrcnn_r18_nl1": detector_card(one("maskrcnn", "r18", NonLocal), WANG + UNPUBLISHED),
    "maskrcnn_r50": detector_card(
        bare("maskrcnn", "r50"),
        HE,
        gcnet("37.2", "33.8", "44.4"),
        precision("38.0", "34.6", NONLOCAL.format("5")),
        precision("34.47", "30.44", CGNL_COCO),
    ),
    "maskrcnn_r50_gc": detector_card(
        everywhere("maskrcnn", "r50", GlobalContext, 3, 4, 5), GC_ALL, gcnet("39.4", "35.7", "46.9")
    ),
    "maskrcnn_r50_gc_r4": detector_card(
        everywhere("maskrcnn", "r50", gc_r4, 3, 4, 5), GC_ALL, gcnet("39.9", "36.2", "54.4")
    ),
    "maskrcnn_r50_gc1": detector_card(one("maskrcnn", "r50", GlobalContext), GC_ONE, gcnet("38.1", "34.9", "44.5")),
    "maskrcnn_r50_snl1": detector_card(
        one("maskrcnn", "r50", SimplifiedNonLocal), GC_ONE, gcnet("38.1", "35.0", "45.4", differs=BACKGROUND)
    ),
    "maskrcnn_r50_nl1": detector_card(
        one("maskrcnn", "r50", NonLocal),
        WANG,
        gcnet("38.0", "34.7", "46.5"),
        precision("39.0", "35.5", NONLOCAL.format("5")),
        precision("35.02", "30.23", CGNL_COCO),
    ),
    "maskrcnn_r50_cgnl1": detector_card(
        one("maskrcnn", "r50", cgnl),
        f"Yue et al., CGNL: one block of 8 groups, {ONE}",
        precision("35.70", "31.22", CGNL_COCO),
    ),
    "maskrcnn_r50_se": detector_card(
        everywhere("maskrcnn", "r50", SqueezeExcite, 2, 3, 4, 5),
        "Hu et al., SENet: every block, before the sum" + UNPUBLISHED,
    ),
    "maskrcnn_r50_gsop1": detector_card(
        DetectorPlan("maskrcnn", "resnet50", GSoPChannel, last_branches(50, 2, 3, 4, 5)),
        "Gao et al., GSoP-Net1: in the last block of every stage, before the sum" + UNPUBLISHED,
    ),
    "maskrcnn_r101": detector_card(
        bare("maskrcnn", "r101"),
        HE,
        gcnet("39.8", "36.0", table="3"),
        precision("39.5", "36.0", NONLOCAL.format("5")),
    ),
    "maskrcnn_r101_gc": detector_card(
        everywhere("maskrcnn", "r101", GlobalContext, 3, 4, 5), GC_ALL, gcnet("41.1", "37.4", table="3")
    ),
    "maskrcnn_r101_gc_r4": detector_card(
        everywhere("maskrcnn", "r101", gc_r4, 3, 4, 5), GC_ALL, gcnet("41.7", "37.6", table="3")
    ),
    "maskrcnn_r101_nl1": detector_card(
        one("maskrcnn", "r101", NonLocal), WANG, precision("40.8", "37.1", NONLOCAL.format("5"))
    ),
    "maskrcnn_x101": detector_card(bare("maskrcnn", "x101"), HE, gcnet("41.2", "37.3", table="3")),
    "maskrcnn_x101_gc": detector_card(
        everywhere("maskrcnn", "x101", GlobalContext, 3, 4, 5), GC_ALL, gcnet("42.4", "38.0", table="3")
    ),
    "maskrcnn_x101_gc_r4": detector_card(
        everywhere("maskrcnn", "x101", gc_r4, 3, 4, 5), GC_ALL, gcnet("42.9", "38.5", table="3")
    ),
    "fasterrcnn_r50": detector_card(bare("fasterrcnn", "r50"), "Ren et al., Faster R-CNN"),
    "fasterrcnn_r50_gc": detector_card(everywhere("fasterrcnn", "r50", GlobalContext, 3, 4, 5), GC_ALL + UNPUBLISHED),
    "fasterrcnn_r50_nl1": detector_card(one("fasterrcnn", "r50", NonLocal), WANG + UNPUBLISHED),
    "retinanet_r50": detector_card(bare("retinanet", "r50"), "Lin et al., RetinaNet"),
    "retinanet_r50_gc": detector_card(everywhere("retinanet", "r50", GlobalContext, 3, 4, 5), GC_ALL + UNPUBLISHED),
    "retinanet_r50_nl1": detector_card(one("retinanet", "r50", NonLocal), WANG + UNPUBLISHED),
    "keypointrcnn_r50": detector_card(bare("keypointrcnn", "r50"), HE, num_classes=2),
    "keypointrcnn_r101": detector_card(bare("keypointrcnn", "r101"), HE, keypoints("65.1"), num_classes=2),
    "keypointrcnn_r101_nl4": detector_card(
        DetectorPlan("keypointrcnn", "resnet101", head_block=NonLocal),
        "Wang et al., Non-local: after every two of the eight convolutions of the keypoint head",
        keypoints("66.0"),
        num_classes=2,
    ),
    "keypointrcnn_r101_nl5": detector_card(
        DetectorPlan("keypointrcnn", "resnet101", NonLocal, before_last(101), head_block=NonLocal),
        f"Wang et al., Non-local: four blocks in the keypoint head, and one {ONE}",
        keypoints("66.5"),
        num_classes=2,
    ),
    "maskrcnn_tiny": detector_card(bare("maskrcnn", "tiny"), HE + TINY),
    "maskrcnn_tiny_gc": detector_card(everywhere("maskrcnn", "tiny", GlobalContext, 3, 4, 5), GC_ALL + TINY),
    "maskrcnn_tiny_nl1": detector_card(one("maskrcnn", "tiny", NonLocal), WANG + TINY),
    "keypointrcnn_tiny": detector_card(bare("keypointrcnn", "tiny"), HE + TINY, num_classes=2),
    "keypointrcnn_tiny_nl4": detector_card(
        DetectorPlan("keypointrcnn", "tiny", head_block=NonLocal),
        "Wang et al., Non-local: after every two of the eight convolutions of the keypoint head" + TINY,
        num_classes=2,
    ),
}
