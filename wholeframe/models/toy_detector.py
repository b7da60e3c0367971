"""A small FCOS for the comparison of blocks, without a feature pyramid."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSClassificationHead, FCOSHead, FCOSRegressionHead

from wholeframe.data.shapes import LARGEST, SIZE
from wholeframe.models.build import ModelConfig
from wholeframe.models.toy import stage

WIDTH, STRIDE = 48, 4
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


class ToyHead(FCOSHead):
    """FCOS's head with one convolution in each branch.

    Batch norm replaces the group norm, whose statistics over all positions would tell every position about the others.
    """

    def __init__(self, num_classes: int):
        super().__init__(WIDTH, 1, num_classes, num_convs=0)
        self.classification_head = FCOSClassificationHead(WIDTH, 1, num_classes, num_convs=1, norm_layer=nn.BatchNorm2d)
        self.regression_head = FCOSRegressionHead(WIDTH, 1, num_convs=1, norm_layer=nn.BatchNorm2d)


class ToyDetector(FCOS):
    """FCOS whose loss of the classes counts more than that of the boxes, which are soon learned."""

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        found: Any = super().forward(images, targets)
        if isinstance(found, dict):
            found["classification"] = CLASSES_COUNT * found["classification"]
        return found


def toy_detector(num_classes: int) -> FCOS:
    """FCOS (Tian et al., ICCV 2019) for images of 64 x 64 pixels with objects of about 10.

    `backbone.stage3` is the site for a block. The head after it sees nine positions of the map, so that only the block
    can relate distant objects, and every position on an object is trained.

    Args:
        num_classes: of the data, without the background.

    Returns:
        A network from a list of images `(3, h, w)`, in training mode with a list of targets, to detections or losses,
        as torchvision documents them.
    """
    labels = num_classes + 1
    return ToyDetector(
        ToyBackbone(),
        num_classes=labels,
        min_size=SIZE,
        max_size=SIZE,
        size_divisible=STRIDE,
        image_mean=[0.5] * 3,
        image_std=[0.25] * 3,
        anchor_generator=AnchorGenerator(((2 * LARGEST,),), ((1.0,),)),
        head=ToyHead(labels),
        score_thresh=0.05,
        nms_thresh=0.5,
        topk_candidates=200,
        detections_per_img=50,
    )


@dataclass(frozen=True)
class ToyDetectorConfig(ModelConfig):
    """The small FCOS, with a block in its backbone."""

    backbone: str = "small_detector"
    """the name in tables; the only one"""
    block: str | None = None
    """a name of `wholeframe blocks`, or None for the bare detector"""
    at: tuple[str, ...] = ("backbone.stage3",)
    """globs over module names of the detector: the sites of the block"""

    def create(self, num_classes: int) -> nn.Module:
        """The detector without the block, for data with this number of classes."""
        return toy_detector(num_classes)
