"""COCO's average precision as a metric: that of the scores, shared by processes, and refused where there is none."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("faster_coco_eval")

from wholeframe.train.tasks.coco_metric import CocoMetric
from wholeframe.train.tasks.coco_scores import score_detections

KINDS = ("bbox", "segm", "keypoints")


def parts(detections, count):
    """The detections of every image, divided among so many processes."""
    items = list(detections.items())
    return [items[k::count] for k in range(count)]


def test_it_is_what_the_scores_say(annotations, detections):
    metric, scores = CocoMetric(annotations, KINDS), score_detections(detections, annotations)
    for image_id, detection in detections.items():
        metric.update([detection], [image_id])
    found = metric.compute()
    assert list(found) == [f"{name}_{f}" for name in ("box", "mask", "keypoint") for f in ("AP", "AP50")]
    for kind, name in zip(KINDS, ("box", "mask", "keypoint"), strict=True):
        assert float(found[f"{name}_AP"]) == pytest.approx(scores.figures(kind)["AP"], abs=1e-6)
    metric.reset()
    assert not metric.found


def test_processes_share_it(annotations, detections):
    """torchmetrics concatenates the states of all processes; their order does not matter."""
    whole, shared = CocoMetric(annotations, KINDS), CocoMetric(annotations, KINDS)
    whole.update(detections.values(), detections.keys())
    states = []
    for items in parts(detections, 3):
        own = CocoMetric(annotations, KINDS)
        own.update([detection for _, detection in items], [image_id for image_id, _ in items])
        states.append(torch.cat(own.found))
    shared.found = [torch.cat(states[::-1])]
    shared._update_count = 1
    assert {n: float(v) for n, v in shared.compute().items()} == {n: float(v) for n, v in whole.compute().items()}


def test_nan_and_nothing_found(annotations, detections):
    metric = CocoMetric(annotations, ("bbox",))
    for image_id, detection in detections.items():
        empty = {name: tensor[:0] for name, tensor in detection.items()}
        metric.update([empty], [image_id])
    assert float(metric.compute()["box_AP"]) == 0
    image_id, detection = next((i, d) for i, d in detections.items() if len(d["scores"]))
    metric.update([{**detection, "boxes": detection["boxes"] * torch.nan}], [image_id])
    assert float(metric.compute()["box_AP"]) == 0


def test_what_cannot_be_scored_is_refused(annotations):
    bare = replace(annotations, pictures=tuple(replace(p, instances=()) for p in annotations.pictures))
    with pytest.raises(ValueError, match=r"validated by the average precision, and 'made.json' has no objects"):
        CocoMetric(bare, ("bbox",))
