"""Weights in the layout of torchvision's published detectors: frozen norms, earlier names, 91 classes."""

import re

import pytest
import torch
from torchvision.models import detection
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

import wholeframe as wf
from wholeframe.models.detector import DetectorPlan
from wholeframe.models.resnet_sites import branches
from wholeframe.train.initial_weights import load_initial_weights

MAKE = {
    "maskrcnn": detection.MaskRCNN,
    "fasterrcnn": detection.FasterRCNN,
    "retinanet": detection.RetinaNet,
    "keypointrcnn": detection.KeypointRCNN,
}
CLASSES = {"keypointrcnn": 2}  # others have those of COCO, whose numbers go to 90
BY_CLASS = {
    "fasterrcnn": {"roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred"},
    "retinanet": {"head.classification_head.cls_logits"},
}
BY_CLASS["keypointrcnn"] = BY_CLASS["fasterrcnn"]
BY_CLASS["maskrcnn"] = BY_CLASS["fasterrcnn"] | {"roi_heads.mask_predictor.mask_fcn_logits"}

# The names in the published files, which torchvision reads as well.
EARLIER = [
    (r"(fpn\.\w+_blocks\.\d)\.0\.(\w+)$", r"\1.\2"),
    (r"(rpn\.head\.conv)\.0\.0\.(\w+)$", r"\1.\2"),
    (r"(mask_head)\.(\d)\.0\.(\w+)$", lambda m: f"{m[1]}.mask_fcn{int(m[2]) + 1}.{m[3]}"),
    (r"(_head\.conv)\.(\d)\.0\.(\w+)$", lambda m: f"{m[1]}.{2 * int(m[2])}.{m[3]}"),
]


def published(kind):
    """torchvision's detector as it reads published weights: a frozen norm, here with ResNet-18 and random weights."""
    torch.manual_seed(0)
    stages = dict(returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256)) if kind == "retinanet" else {}
    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=3, **stages)
    detector = MAKE[kind](backbone, num_classes=CLASSES.get(kind, 91))
    for name, value in detector.named_buffers():
        if "running" in name:
            value.uniform_(0.5, 2)
    return seeing(detector)


def seeing(detector):
    """In eval mode, on small images, and sure of the few things that it finds."""
    detector.transform.min_size, detector.transform.max_size = (64,), 96
    for part in detector.modules():
        if hasattr(part, "score_thresh"):
            part.score_thresh, part.detections_per_img = 0.0, 5
    return detector.eval()


def earlier(key):
    for pattern, name in EARLIER:
        key = re.sub(pattern, name, key)
    return key


def found_by(detector):
    images = torch.rand(2, 3, 64, 80, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return detector(list(images))


@pytest.fixture(
    scope="module",
    params=["maskrcnn", *(pytest.param(kind, marks=pytest.mark.slow) for kind in MAKE if kind != "maskrcnn")],
)
def file(request, tmp_path_factory):
    """(kind, the detector, the file of its weights)."""
    detector = published(request.param)
    path = tmp_path_factory.mktemp("published") / "weights.pth"
    state = {earlier(key): value for key, value in detector.state_dict().items()}
    assert not any(key.endswith("num_batches_tracked") for key in state)
    assert state.keys() - detector.state_dict().keys()
    torch.save(state, path)
    return request.param, detector, path


def network(kind, classes, norm):
    torch.manual_seed(2)
    return DetectorPlan(kind, "resnet18", wf.GlobalContext, branches(18, 3, 4, 5))(classes, norm=norm)


@pytest.mark.slow
def test_a_detector_with_blocks_finds_what_the_published_one_finds(file):
    """To the bit with frozen norms, whose arithmetic is the same."""
    kind, detector, path = file
    ours = network(kind, CLASSES.get(kind, 91), "frozen")
    loaded = load_initial_weights(ours, path)
    assert loaded.fresh and all("wholeframe" in key for key in loaded.fresh)
    expected = found_by(detector)
    assert expected[0]["boxes"].numel()
    for one, other in zip(expected, found_by(seeing(ours)), strict=True):
        for name in one:
            torch.testing.assert_close(other[name], one[name], rtol=0, atol=0)


@pytest.mark.slow
def test_frozen_norms_load_into_batch_norms(file):
    kind, detector, path = file
    ours = network(kind, CLASSES.get(kind, 91), "batch")
    assert all("wholeframe" in key for key in load_initial_weights(ours, path).fresh)
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        maps, expected = seeing(ours).backbone(x), detector.backbone(x)
    for name, y in expected.items():  # one rounding in each of 20 layers, whose norms are computed in another order
        torch.testing.assert_close(maps[name], y, rtol=1e-4, atol=1e-4 * float(y.abs().max()))


@pytest.mark.slow
def test_layers_of_another_number_of_classes_are_left_out_and_named(file):
    kind, _, path = file
    ours = network(kind, 5, "frozen")
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    loaded = load_initial_weights(ours, path)
    left_out = {key for key in loaded.fresh if "wholeframe" not in key}
    assert left_out == {f"{name}.{part}" for name in BY_CLASS[kind] for part in ("weight", "bias")}
    assert all(repr(key) in str(loaded) for key in left_out)
    assert all(torch.equal(ours.state_dict()[key], before[key]) for key in loaded.fresh)
    assert not torch.equal(ours.state_dict()["backbone.body.conv1.weight"], before["backbone.body.conv1.weight"])


@pytest.mark.slow
def test_weights_of_another_detector_are_refused(file):
    kind, _, path = file
    other = "retinanet" if kind != "retinanet" else "fasterrcnn"
    ours = network(other, 91, "frozen")
    before = ours.state_dict()["backbone.body.conv1.weight"].clone()
    with pytest.raises(ValueError, match="these weights are of another network"):
        load_initial_weights(ours, path)
    assert torch.equal(ours.state_dict()["backbone.body.conv1.weight"], before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("maskrcnn_r50_gc", detection.maskrcnn_resnet50_fpn),
        ("fasterrcnn_r50_nl1", detection.fasterrcnn_resnet50_fpn),
        ("retinanet_r50_gc", detection.retinanet_resnet50_fpn),
    ],
)
def test_the_detectors_of_torchvision_themselves(tmp_path, name, make):
    """The file loads into the named network, and the blocks go into the detector: both find the same."""
    torch.manual_seed(0)
    detector = seeing(make(weights=None, weights_backbone=None))
    torch.save(detector.state_dict(), tmp_path / "weights.pth")
    named = wf.create_model(name, num_classes=91)
    load_initial_weights(named, tmp_path / "weights.pth")
    before = found_by(detector)
    wf.create_model(name, backbone=detector)
    assert before[0]["boxes"].numel() and wf.blocks_of(detector)
    for other in (detector, seeing(named)):
        for one, two in zip(before, found_by(other), strict=True):
            for key in one:
                torch.testing.assert_close(two[key], one[key], rtol=0, atol=0)
