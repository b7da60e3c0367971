"""Detectors: those of torchvision with a feature pyramid, with blocks in the backbone and in the keypoint head."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN, KeypointRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.ops.poolers import LevelMapper, MultiScaleRoIAlign

from wholeframe.messages import one_of
from wholeframe.models.resnet_sites import STAGES, Depth
from wholeframe.surgery.insert import insert

Kind = Literal["maskrcnn", "fasterrcnn", "retinanet", "keypointrcnn"]
Norm = Literal["batch", "frozen"]
NormLayer = Callable[[int], nn.Module]

NORMS: dict[Norm, NormLayer] = {"batch": nn.BatchNorm2d, "frozen": FrozenBatchNorm2d}
HEAD_SITES = ("3", "7", "11", "15")  # after the ReLU of every second of the eight convolutions
KEYPOINTS = 17  # of a person in COCO
LEVELS = (2, 3, 4, 5)  # of the pyramid that regions are taken from; the stride is 2 to this power

# ------------------------------------------------------------------------------------------------------- the backbones


def resnet_body(depth: Depth, norm: NormLayer, **width: Any) -> nn.Module:
    """A ResNet, whose classifier the pyramid leaves out."""
    return ResNet(Bottleneck if depth >= 50 else BasicBlock, list(STAGES[depth]), norm_layer=norm, **width)


def tiny_body(norm: NormLayer) -> nn.Module:
    """The layout of ResNet-18 with 16, 32, 64 and 128 channels, and the module names of torchvision's ResNet."""
    layers: list[tuple[str, nn.Module]] = [
        ("conv1", nn.Conv2d(3, 16, 7, stride=2, padding=3, bias=False)),
        ("bn1", norm(16)),
        ("relu", nn.ReLU(inplace=True)),
        ("maxpool", nn.MaxPool2d(3, stride=2, padding=1)),
    ]
    before = 16
    for stage, channels in enumerate((16, 32, 64, 128), start=1):
        halve = (
            None if before == channels else nn.Sequential(nn.Conv2d(before, channels, 1, 2, bias=False), norm(channels))
        )
        first = BasicBlock(before, channels, 1 if halve is None else 2, halve, norm_layer=norm)
        layers.append((f"layer{stage}", nn.Sequential(first, BasicBlock(channels, channels, norm_layer=norm))))
        before = channels
    body = nn.Sequential(OrderedDict(layers))
    for module in body.modules():  # as torchvision initialises a ResNet
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return body


BODIES: dict[str, tuple[Callable[[NormLayer], nn.Module], tuple[int, int, int, int]]] = {
    **{f"resnet{depth}": (partial(resnet_body, depth), (64, 128, 256, 512)) for depth in (18, 34)},
    **{f"resnet{depth}": (partial(resnet_body, depth), (256, 512, 1024, 2048)) for depth in (50, 101)},
    "resnext101_32x4d": (partial(resnet_body, 101, groups=32, width_per_group=4), (256, 512, 1024, 2048)),
    "tiny": (tiny_body, (16, 32, 64, 128)),
}
"""name -> the function that builds it with a norm, and the channels of res2 to res5"""


def pyramid(body: str, norm: NormLayer, kind: Kind) -> BackboneWithFPN:
    """A ResNet with a feature pyramid (Lin et al., CVPR 2017), as torchvision builds it.

    256 channels (64 for the tiny ResNet) and the levels P2 to P6; RetinaNet has P3 to P7 instead.
    """
    build, channels = BODIES[body]
    width = 64 if body == "tiny" else 256
    first, extra = (1, LastLevelP6P7(width, width)) if kind == "retinanet" else (0, None)
    stages = {f"layer{stage + 1}": str(stage - first) for stage in range(first, 4)}
    return BackboneWithFPN(build(norm), stages, list(channels[first:]), width, extra)


# -------------------------------------------------------------------------------------------------------- the detectors


def tiny_heads(kind: Kind, num_classes: int) -> dict[str, Any]:
    """Heads of 32 to 128 channels and smaller anchors, for images of 256 to 384 pixels."""
    sizes = {"min_size": 256, "max_size": 384}
    if kind == "retinanet":  # its heads have the channels of the pyramid
        return {"num_classes": num_classes, **sizes}
    heads: dict[str, Any] = {
        "num_classes": None,  # torchvision takes the number or the heads
        **sizes,
        "rpn_anchor_generator": AnchorGenerator(((16,), (32,), (64,), (128,), (256,)), ((0.5, 1.0, 2.0),) * 5),
        "rpn_head": RPNHead(64, 3),
        "box_head": TwoMLPHead(64 * 7**2, 128),
        "box_predictor": FastRCNNPredictor(128, num_classes),
    }
    if kind == "maskrcnn":
        heads |= {"mask_head": MaskRCNNHeads(64, (64, 64), 1), "mask_predictor": MaskRCNNPredictor(64, 64, num_classes)}
    if kind == "keypointrcnn":
        heads |= {
            "keypoint_head": KeypointRCNNHeads(64, (32,) * 8),
            "keypoint_predictor": KeypointRCNNPredictor(32, KEYPOINTS),
            "num_keypoints": None,
        }
    return heads


def fix_levels(detector: nn.Module) -> None:
    """Give the pooling of regions the strides of the pyramid, 4 to 32, and so the level of every region.

    torchvision guesses both from the first batch that the detector sees and keeps them. Padding falsifies the guess for
    small images, and a resumed training would begin with another batch.
    """
    for pool in detector.modules():
        if isinstance(pool, MultiScaleRoIAlign):
            pool.scales = [2.0**-level for level in LEVELS]
            pool.map_levels = LevelMapper(LEVELS[0], LEVELS[-1], pool.canonical_scale, pool.canonical_level)


DETECTORS: dict[Kind, Callable[..., nn.Module]] = {
    "maskrcnn": MaskRCNN,  # He et al., ICCV 2017
    "fasterrcnn": FasterRCNN,  # Ren et al., NeurIPS 2015
    "retinanet": RetinaNet,  # Lin et al., ICCV 2017
    "keypointrcnn": KeypointRCNN,  # He et al., ICCV 2017, section 5
}


@dataclass(frozen=True)
class DetectorPlan:
    """A detector of torchvision, and a block after every module of `at` in its ResNet.

    Calling the plan builds the network; `attach` inserts the blocks into a detector that is already built.

    Args:
        kind: the detector.
        body: its ResNet, a key of `BODIES`.
        block: builds a block from the channels of its site.
        at: the sites, globs over the module names of the ResNet, which is `backbone.body` of the detector.
        head_block: builds the block after every two of the eight convolutions of the keypoint head (Wang et al.,
            CVPR 2018, section 5.2).
    """

    kind: Kind
    body: str
    block: Callable[[int], nn.Module] | None = None
    at: tuple[str, ...] = ()
    head_block: Callable[[int], nn.Module] | None = None

    def __call__(self, num_classes: int = 81, *, norm: Norm = "batch") -> nn.Module:
        """Build the untrained detector.

        Args:
            num_classes: the classes and the background, as in torchvision: 81 for COCO, 2 for persons.
            norm: of the ResNet. "batch" as in the main tables of GCNet, together with `wf.sync_batchnorm` on several
                devices; "frozen" as in torchvision and in Wang et al., for pretrained weights, whose statistics stay.

        Returns:
            A network from a list of images `(3, h, w)`, in training mode with a list of targets, to detections or
            losses, as torchvision documents them.

        Raises:
            ValueError: for an unknown norm.
        """
        one_of("norm", norm, tuple(NORMS))
        backbone = pyramid(self.body, NORMS[norm], self.kind)
        heads = tiny_heads(self.kind, num_classes) if self.body == "tiny" else {"num_classes": num_classes}
        detector = DETECTORS[self.kind](backbone, **heads)
        fix_levels(detector)
        self.attach(detector)
        return detector

    def attach(self, detector: nn.Module) -> None:
        """Insert the blocks into a detector with the module names of torchvision's.

        Raises:
            ValueError: for a detector without these names, which is then unchanged.
        """
        parts = dict(detector.named_modules())
        needed = ["backbone.body"] + (["roi_heads.keypoint_head"] if self.head_block else [])
        if absent := [name for name in needed if name not in parts]:
            raise ValueError(
                f"a {type(detector).__name__} has no `{absent[0]}`, where the blocks of torchvision's {self.kind} are; "
                "give such a detector, or insert the blocks yourself by `wf.insert(detector, block, at=...)`"
            )
        if self.block is not None:
            insert(parts["backbone.body"], self.block, self.at, example=_map(detector, 3, 64))
        if self.head_block is not None:
            head = parts["roi_heads.keypoint_head"]
            insert(head, self.head_block, HEAD_SITES, example=_map(detector, _channels(head), 14))


def _channels(head: nn.Module) -> int:
    """The input channels of the first convolution."""
    return next(module.in_channels for module in head.modules() if isinstance(module, nn.Conv2d))


def _map(detector: nn.Module, channels: int, side: int) -> torch.Tensor:
    """A random input of a part of the detector, far smaller than the images, which it scales to 800 pixels."""
    weight = next(detector.parameters())
    return torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(0)).to(weight)
