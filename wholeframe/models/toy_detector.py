"""A small Mask R-CNN for the comparison of blocks, without a feature pyramid."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import MultiScaleRoIAlign

from wholeframe.data.shapes import SIZE
from wholeframe.models.build import ModelConfig
from wholeframe.models.toy import stage

WIDTH, BOX, MASK = 48, 4, 7
CLASSES_COUNT = 8.0


class ToyBackbone(nn.Module):
    """Three convolutional stages with a stride of 4 and a receptive field of 15 x 15 pixels.

    Returns:
        The map `(b, 48, h / 4, w / 4)`.
    """

    out_channels = WIDTH

    def __init__(self):
        super().__init__()
        self.stage1, self.stage2, self.stage3 = (
            stage(channels, WIDTH, stride, depth=1) for channels, stride in ((3, 2), (WIDTH, 2), (WIDTH, 1))
        )

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c y x"]:
        return self.stage3(self.stage2(self.stage1(image)))


class ToyDetector(MaskRCNN):
    """Mask R-CNN whose loss of the classes counts more than that of boxes and masks, which are soon learned."""

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        found: Any = super().forward(images, targets)
        if isinstance(found, dict):
            found["loss_classifier"] = CLASSES_COUNT * found["loss_classifier"]
        return found


def toy_detector(num_classes: int) -> MaskRCNN:
    """Mask R-CNN (He et al., ICCV 2017) for images of 64 x 64 pixels with objects of about 10.

    `backbone.stage3` is the site for a block. After it every object has the features in its box alone, so that only
    the block can relate distant objects.

    Args:
        num_classes: of the data, without the background.

    Returns:
        A network from a list of images `(3, h, w)`, in training mode with a list of targets, to detections or losses,
        as torchvision documents them.
    """
    labels = num_classes + 1
    return ToyDetector(
        ToyBackbone(),
        num_classes=None,  # torchvision takes the number or the heads
        min_size=SIZE,
        max_size=SIZE,
        # torchvision derives the stride from the first padded image, and a padding to 32 pixels would change that.
        size_divisible=4,
        image_mean=[0.5] * 3,
        image_std=[0.25] * 3,
        rpn_anchor_generator=AnchorGenerator(((10,),), ((1.0,),)),
        rpn_head=RPNHead(WIDTH, 1),
        rpn_pre_nms_top_n_train=90,
        rpn_pre_nms_top_n_test=90,
        rpn_post_nms_top_n_train=48,
        rpn_post_nms_top_n_test=48,
        rpn_batch_size_per_image=32,
        box_roi_pool=MultiScaleRoIAlign(["0"], BOX, sampling_ratio=1),
        box_head=TwoMLPHead(WIDTH * BOX**2, 64),
        box_predictor=FastRCNNPredictor(64, labels),
        box_batch_size_per_image=32,
        box_positive_fraction=0.5,
        box_detections_per_img=30,
        mask_roi_pool=MultiScaleRoIAlign(["0"], MASK, sampling_ratio=1),
        mask_head=MaskRCNNHeads(WIDTH, (16,), dilation=1),
        mask_predictor=MaskRCNNPredictor(16, 16, labels),
    )


@dataclass(frozen=True)
class ToyDetectorConfig(ModelConfig):
    """The small Mask R-CNN, with a block in its backbone."""

    backbone: str = "small_detector"
    """the name in tables; the only one"""
    block: str | None = None
    """a name of `wholeframe blocks`, or None for the bare detector"""
    at: tuple[str, ...] = ("backbone.stage3",)
    """globs over module names of the detector: the sites of the block"""

    def create(self, num_classes: int) -> nn.Module:
        """The detector without the block, for data with this number of classes."""
        return toy_detector(num_classes)
