"""Detection: the boxes of objects, with their masks or keypoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torchmetrics import Metric

from wholeframe.train.tasks import Validation
from wholeframe.train.tasks.coco_encoding import Kind
from wholeframe.train.tasks.coco_metric import CocoMetric

KINDS: dict[str, tuple[Kind, ...]] = {
    "boxes": ("bbox",),
    "masks": ("bbox", "segm"),
    "keypoints": ("bbox", "keypoints"),
}
"""what a detector learns -> the kinds that are scored"""


@dataclass(frozen=True)
class Detection:
    """Objects in images, by a detector with the interface of torchvision's.

    In training mode it takes images and targets and returns its losses by name; in eval mode it takes images and
    returns detections. The score is COCO's average precision: of masks or keypoints if it learns them, else of boxes.
    """

    objects: Literal["boxes", "masks", "keypoints"] = "masks"
    """what the detector learns of an object beyond its class; keypoints are those of persons in COCO"""

    @property
    def labels(self) -> str:
        return "objects"

    @property
    def class_weights(self) -> None:
        return None

    @property
    def score(self) -> str:
        return {"boxes": "box_AP", "masks": "mask_AP", "keypoints": "keypoint_AP"}[self.objects]

    def metric(self, splits: Validation) -> Metric:
        return CocoMetric(splits.val.annotations, KINDS[self.objects])

    def train_metric(self) -> None:
        return None

    def losses(
        self, network: nn.Module, samples: Sequence[Tensor], labels: Sequence[Any], weights: Tensor | None = None
    ) -> tuple[dict[str, Tensor], None]:
        return network(samples, labels), None

    def validate(
        self, network: nn.Module, samples: Sequence[Tensor], labels: Sequence[Any], metric: Metric
    ) -> tuple[None, int]:
        metric.update(network(samples), [label["image_id"] for label in labels])
        return None, len(samples)
