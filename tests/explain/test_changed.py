"""Counts of changed predictions, for each form of output."""

import pytest
import torch

from wholeframe.explain.changed import changed


def test_classes_of_samples_and_of_positions():
    before, after = torch.tensor([[3.0, 1], [0, 1], [2, 5]]), torch.tensor([[2.0, 1], [1, 0], [0, 9]])
    assert changed(before, after) == (1, 3)
    maps = torch.zeros(2, 3, 4, 5)
    maps[:, 1] = 1
    other = maps.clone()
    other[0, 2, :2] = 2
    assert changed(maps, other) == (10, 40)
    assert changed({"out": maps, "aux": 0}, {"out": other, "aux": 1}) == (10, 40)
    assert changed({"logits": before}, {"logits": after}) == (1, 3)


def detections(*objects):
    boxes, labels, scores = zip(*objects, strict=True) if objects else ((), (), ())
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "scores": torch.tensor(scores, dtype=torch.float32),
    }


def test_objects_need_a_counterpart_of_label_and_place():
    one, near, far = (0, 0, 10, 10), (1, 0, 11, 10), (6, 0, 16, 10)
    same = [detections((one, 1, 0.9))], [detections((near, 1, 0.6))]
    assert changed(*same) == (0, 2)
    assert changed([detections((one, 1, 0.9))], [detections((near, 2, 0.9))]) == (2, 2)
    assert changed([detections((one, 1, 0.9))], [detections((far, 1, 0.9))]) == (2, 2)
    assert changed([detections((one, 1, 0.9), (far, 2, 0.8))], [detections((one, 1, 0.9))]) == (1, 3)
    assert changed([detections((one, 1, 0.9))], [detections()]) == (1, 1)
    assert changed([detections((one, 1, 0.4))], [detections()]) == (0, 0), "a low score does not count"


def test_other_outputs_need_a_function():
    before, after = torch.tensor([[0.3], [-0.2]]), torch.tensor([[0.1], [0.2]])
    with pytest.raises(ValueError, match=r"returns a tensor \(2, 1\), which has no class to compare; give decide="):
        changed(before, after)
    assert changed(before, after, lambda output: output > 0) == (1, 2)
    with pytest.raises(ValueError, match="returns a tuple, which has no class to compare"):
        changed((before,), (after,))
