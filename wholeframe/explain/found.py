"""The objects that a detector finds in a photograph, with small masks that become pixels one at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import RoIHeads, paste_masks_in_image

from wholeframe.surgery.probe import evaluating


@dataclass(frozen=True)
class Found:
    """The objects in a photograph, from the highest score to the lowest."""

    size: tuple[int, int]
    """height and width of the photograph"""
    boxes: Tensor
    """`(n, 4)`, x1, y1, x2, y2 in pixels of the photograph"""
    labels: Tensor
    """`(n,)`, from 1: 0 is the background"""
    scores: Tensor
    """`(n,)`, 0 to 1"""
    masks: Tensor | None = None
    """`(n, 1, m, m)`, probabilities over the box; None without masks"""
    keypoints: Tensor | None = None
    """`(n, k, 2)`, x, y in pixels of the photograph; None without keypoints"""
    keypoint_scores: Tensor | None = None
    """`(n, k)`, the largest logit of the heat map of each keypoint: higher is surer, without a unit"""

    def __len__(self) -> int:
        return len(self.scores)

    def mask(self, index: int) -> Tensor:
        """The pixels of one object, `(h, w)` bool."""
        assert self.masks is not None
        one = slice(index, index + 1)
        return paste_masks_in_image(self.masks[one], self.boxes[one], self.size)[0, 0] > 0.5

    def at_least(self, score: float) -> "Found":
        """The objects with this score or a higher one."""
        return self._chosen(self.scores >= score)  # torch compares in the precision of the scores: 0.7 is 0.7.

    def enlarged(self, factor: int) -> "Found":
        """The same objects in a photograph of `factor` times the height and the width."""
        height, width = self.size
        points = None if self.keypoints is None else self.keypoints * factor
        return replace(self, size=(height * factor, width * factor), boxes=self.boxes * factor, keypoints=points)

    def _chosen(self, rows: Tensor) -> "Found":
        names = ("boxes", "labels", "scores", "masks", "keypoints", "keypoint_scores")
        kept = {name: value[rows] for name in names if (value := getattr(self, name)) is not None}
        return replace(self, **kept)


def class_name(label: int, classes: Sequence[str]) -> str:
    """The name of a label, `classes[label - 1]`; an untrained RetinaNet also gives the label of the background, 0."""
    return classes[label - 1] if label else "background"


@torch.no_grad()
def find(detector: nn.Module, image: Tensor) -> Found:
    """The objects in one image.

    A detector of torchvision makes a mask of the size of the image for every object, 4.8 GB for 100 objects in 12
    million pixels. Here the masks stay as the head predicts them, and `Found.mask` makes the same pixels of one object.

    Args:
        detector: a detector of torchvision; it runs once, in eval mode.
        image: `(3, h, w)`, 0 to 1.

    Returns:
        The objects, on the CPU.

    Raises:
        ValueError: the image is too thin to be scaled for this detector.
    """
    refuse_thin(detector, (image.shape[-2], image.shape[-1]))
    with evaluating(detector), _small_masks(detector) as masks:
        found = {name: value.cpu() for name, value in detector([image])[0].items()}
    order = found["scores"].argsort(descending=True, stable=True)
    points = found.get("keypoints")
    return Found(
        size=(image.shape[-2], image.shape[-1]),
        boxes=found["boxes"][order],
        labels=found["labels"][order],
        scores=found["scores"][order],
        masks=masks[0].cpu()[order] if masks else None,
        keypoints=None if points is None else points[order][..., :2],
        keypoint_scores=found["keypoints_scores"][order] if points is not None else None,
    )


def refuse_thin(detector: nn.Module, size: tuple[int, int]) -> None:
    """Refuse an image whose shorter side has no pixel left after the scaling of the detector."""
    scaling: Any = getattr(detector, "transform", None)
    if scaling is None or scaling.fixed_size is not None:
        return
    factor = min(scaling.min_size[-1] / min(size), scaling.max_size / max(size))
    if int(min(size) * factor) < 1:
        raise ValueError(
            f"an image of {size[1]} x {size[0]} pixels is too thin: this detector scales the longer side to "
            f"{scaling.max_size} pixels, and nothing is left of the shorter one; cut out a part"
        )


@contextmanager
def _small_masks(detector: nn.Module) -> Iterator[list[Tensor]]:
    """Take the masks out of the detections before the detector pastes them into images."""
    taken: list[Tensor] = []

    def take(_heads: nn.Module, _args: object, output: tuple[list[dict[str, Tensor]], Any]) -> None:
        taken.extend(detection.pop("masks") for detection in output[0] if "masks" in detection)

    handles = [m.register_forward_hook(take) for m in detector.modules() if isinstance(m, RoIHeads)]
    try:
        yield taken
    finally:
        for handle in handles:
            handle.remove()
