"""The task of a detector: losses by name, and the score of what it learns."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

pytest.importorskip("faster_coco_eval")

from wholeframe.train.tasks.detection import Detection


class Detector(nn.Module):
    """Gives losses in training mode and what it is told in eval mode, as torchvision's detectors do."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def forward(self, images, targets=None):
        if self.training:
            return {"loss_classifier": torch.tensor(float(len(images))), "loss_mask": torch.tensor(float(len(targets)))}
        return self.found


@pytest.mark.parametrize(
    ("objects", "score"), [("boxes", "box_AP"), ("masks", "mask_AP"), ("keypoints", "keypoint_AP")]
)
def test_the_score_is_of_what_it_learns(annotations, truth, objects, score):
    task = Detection(objects)
    metric = task.metric(SimpleNamespace(classes=annotations.classes, val=SimpleNamespace(annotations=annotations)))
    detector = Detector(list(truth.values())).eval()
    targets = [{"image_id": image_id} for image_id in truth]
    assert task.validate(detector, [torch.zeros(3, 8, 8)] * len(truth), targets, metric) == (None, len(truth))
    found = metric.compute()
    assert task.score == score and float(found[score]) == 1 and float(found["box_AP50"]) == 1
    assert ("mask_AP" in found) == (objects == "masks") and task.train_metric() is None and task.class_weights is None


def test_the_losses_have_the_names_of_the_detector():
    losses, outputs = Detection().losses(Detector(None).train(), [0, 0, 0], [{}, {}])
    assert {name: float(loss) for name, loss in losses.items()} == {"loss_classifier": 3.0, "loss_mask": 2.0}
    assert outputs is None and Detection().labels == "objects"
