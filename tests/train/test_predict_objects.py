"""Detectors for predict: as many classes as the weights have, with names where they are known."""

import pytest
import torch
import torchvision
from PIL import Image

import wholeframe as wf
from wholeframe.train.predict_objects import CLASSES, COCO, JOINTS, as_input, is_detector, objects_of_model

PHOTO = Image.new("RGB", (60, 40), (255, 0, 51))


def saved(folder, network):
    torch.save(network.state_dict(), folder / "w.pt")
    return str(folder / "w.pt")


def seeded(name, classes, **options):
    torch.manual_seed(0)
    return wf.create_model(name, num_classes=classes, **options).eval()


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("name", "classes", "names"),
    [
        ("maskrcnn_tiny_gc", 4, ["class 1", "class 2", "class 3"]),
        ("maskrcnn_tiny", 81, CLASSES),
        ("maskrcnn_tiny_nl1", 91, COCO),
        ("keypointrcnn_tiny_nl4", 2, ["person"]),
        ("maskrcnn_tiny", 2, ["class 1"]),
    ],
)
def test_a_named_detector_with_weights_from_a_file(tmp_path, name, classes, names):
    detector = seeded(name, classes)
    predictor = objects_of_model(name, saved(tmp_path, detector))
    assert list(predictor.classes) == list(names) and not predictor.network.training
    assert all(torch.equal(a, b) for a, b in zip(detector.parameters(), predictor.network.parameters(), strict=True))
    assert (predictor.floor, predictor.most) == (0.05, 100)
    assert list(predictor.keypoints) == (list(JOINTS) if "keypoint" in name else [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("torchvision/maskrcnn_resnet50_fpn", 5),
        ("torchvision/ssdlite320_mobilenet_v3_large", 3),
    ],
)
def test_a_detector_of_torchvision_with_weights_from_a_file(tmp_path, name, classes):
    torch.manual_seed(0)
    bare = name.removeprefix("torchvision/")
    detector = torchvision.models.get_model(bare, weights=None, weights_backbone=None, num_classes=classes).eval()
    predictor = objects_of_model(name, saved(tmp_path, detector))
    assert len(predictor.classes) == classes - 1 and predictor.floor >= 0.001 and predictor.most >= 100
    with torch.no_grad():
        own = detector([as_input(PHOTO)])[0]
    assert torch.equal(predictor(PHOTO).scores, own["scores"])


def test_frozen_norms_have_no_counts(tmp_path):
    detector = seeded("maskrcnn_tiny", 3, norm="frozen")
    predictor = objects_of_model("maskrcnn_tiny", saved(tmp_path, detector))
    with torch.no_grad():
        own = detector([as_input(PHOTO)])[0]
    found = predictor(PHOTO)
    assert len(found) and torch.allclose(found.scores, own["scores"], atol=1e-5)


def test_weights_of_another_network(tmp_path):
    weights = saved(tmp_path, seeded("maskrcnn_tiny", 3))
    with pytest.raises(ValueError, match=r"has only a part of the weights of 'maskrcnn_tiny_nl1'; it lacks .*layer3"):
        objects_of_model("maskrcnn_tiny_nl1", weights)
    with pytest.raises(ValueError, match=r"no published weights of 'maskrcnn_r50_gc' .* --weights FILE .* classes"):
        objects_of_model("maskrcnn_r50_gc")
    with pytest.raises(ValueError, match=r"neither a run folder nor a file of weights 'gone\.pt'; give --weights FILE"):
        objects_of_model("maskrcnn_r50_gc", "gone.pt")
    with pytest.raises(ValueError, match=r"weights='X' is not one of 'COCO_V1', 'DEFAULT'"):
        objects_of_model("torchvision/maskrcnn_resnet50_fpn", "X")


def test_weights_that_cannot_be_fetched(monkeypatch):
    def unreachable(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.models, "get_model", unreachable)
    with pytest.raises(ValueError, match=r"'DEFAULT' of 'ssd300_vgg16' could not be fetched \(no network\)"):
        objects_of_model("ssd300_vgg16")


def test_which_names_are_detectors():
    detectors = ("maskrcnn_tiny", "torchvision/ssd300_vgg16", "fasterrcnn_resnet50_fpn")
    assert all(map(is_detector, detectors))
    assert not any(
        map(is_detector, ("r50_gc", "resnet50", "timm/resnet50", "timm/ssd300_vgg16", "runs/mine", "nothing"))
    )


def test_pixels_are_from_0_to_1():
    image = as_input(PHOTO)
    assert image.shape == (3, 40, 60) and image.dtype == torch.float32
    assert torch.allclose(image[:, 0, 0], torch.tensor([1.0, 0.0, 0.2]))
