"""COCO's average precision of a validation, as a metric that several processes share."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from wholeframe.data.detection.annotations import Annotations
from wholeframe.train.tasks.coco_encoding import KINDS, TENSORS, Detection, Kind, rows_of
from wholeframe.train.tasks.coco_evaluation import refusal
from wholeframe.train.tasks.coco_results import CocoResults
from wholeframe.train.tasks.coco_scores import score_results

NAMES: dict[Kind, str] = {"bbox": "box", "segm": "mask", "keypoints": "keypoint"}
"""kind -> the first part of the name of its figures: `box_AP`, `mask_AP50`"""


class CocoMetric(Metric):
    """AP and AP50 of every kind that the detections have and the annotations allow: `box_AP`, `box_AP50`, `mask_AP`.

    The detections of an image are a line of JSON, as bytes: of tensors alone torchmetrics gathers those of all
    processes.

    Args:
        annotations: the objects.
        kinds: those to score.

    Raises:
        ValueError: one of them cannot be scored on these annotations.
    """

    found: list[Tensor]

    def __init__(self, annotations: Annotations, kinds: Sequence[Kind]):
        super().__init__()
        for kind in kinds:
            if reason := refusal(annotations, kind):
                raise ValueError(f"a training is validated by the average precision, and {reason}")
        self.annotations = annotations
        self.kinds: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind in kinds)
        self.pictures = {picture.id: picture for picture in annotations.pictures}
        self.add_state("found", default=[], dist_reduce_fx="cat")

    def update(self, detections: Iterable[Detection], image_ids: Iterable[int]) -> None:
        """Add the detections in some images, as torchvision's detectors return them."""
        joints = len(self.annotations.keypoints)
        for detection, image_id in zip(detections, image_ids, strict=True):
            kinds: list[Kind] = [kind for kind in self.kinds if TENSORS[kind] in detection]
            line = json.dumps([image_id, rows_of(detection, self.pictures[image_id], kinds, joints)]) + "\n"
            self.found.append(torch.frombuffer(bytearray(line.encode()), dtype=torch.uint8).to(self.device))

    def compute(self) -> Mapping[str, Tensor]:
        """The figures by name, between 0 and 1; nan where no object of the size is counted."""
        text = bytes(dim_zero_cat(self.found).tolist()) if len(self.found) else b""
        results = CocoResults(self.annotations, self.kinds)
        for image_id, rows in map(json.loads, text.splitlines()):
            results.add_rows(self.pictures[image_id], rows)
        scores = score_results(results)
        figures: dict[str, Any] = {}
        for kind in self.kinds:
            found = scores.figures(kind)
            figures |= {f"{NAMES[kind]}_{name}": torch.tensor(found[name]) for name in ("AP", "AP50")}
        return figures
