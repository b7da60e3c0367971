"""The objects in an image: those of the detector itself, with masks that are pixels one at a time."""

import pytest
import torch

import wholeframe as wf
from wholeframe.explain.found import Found, class_name, find


def made(name, classes, floor=None):
    torch.manual_seed(0)
    detector = wf.create_model(name, num_classes=classes).eval()
    if floor is not None:
        detector.roi_heads.score_thresh = floor
    return detector


def test_masks_are_those_of_the_detector():
    detector, image = made("maskrcnn_tiny", 4), torch.rand(3, 70, 110)
    found = find(detector, image)
    with torch.no_grad():
        own = detector([image])[0]
    assert len(found) == len(own["scores"]) > 10 and found.masks.shape[-1] == 28
    for name in ("boxes", "labels", "scores"):
        assert torch.equal(getattr(found, name), own[name]), name
    masks = torch.stack([found.mask(index) for index in range(len(found))])
    assert torch.equal(masks, own["masks"][:, 0] > 0.5) and masks.any()


def test_keypoints_are_those_of_the_detector():
    detector, image = made("keypointrcnn_tiny", 2), torch.rand(3, 70, 110)
    found = find(detector, image)
    with torch.no_grad():
        own = detector([image])[0]
    assert found.masks is None and torch.equal(found.keypoints, own["keypoints"][..., :2])
    assert torch.equal(found.keypoint_scores, own["keypoints_scores"])


def test_a_training_detector_stays_one():
    detector = made("maskrcnn_tiny", 4).train()
    find(detector, torch.rand(3, 40, 40))
    assert detector.training and not detector.roi_heads._forward_hooks


def test_a_score_of_exactly_the_threshold_is_kept():
    found = Found((5, 5), torch.zeros(3, 4), torch.ones(3, dtype=torch.int64), torch.tensor([0.7, 0.5, 0.3]))
    for score, count in ((0.7, 1), (0.71, 0), (0.5, 2), (0.3, 3), (0, 3)):
        assert len(found.at_least(score)) == len(found.at_least(score).boxes) == count, score


def test_an_image_that_is_too_thin():
    detector = made("maskrcnn_tiny", 2)
    with pytest.raises(ValueError, match=r"an image of 2000 x 1 pixels is too thin: .* to 384 pixels, .* cut out"):
        find(detector, torch.rand(3, 1, 2000))
    assert find(detector, torch.rand(3, 1, 1)).size == (1, 1)


def test_names_of_labels():
    assert class_name(2, ["a", "b"]) == "b" and class_name(0, ["a", "b"]) == "background"
