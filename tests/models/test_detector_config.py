"""The detector of a recipe: its sizes and norms, published weights, and what is refused."""

import pytest
import torch
from torchvision.models import ResNet50_Weights, resnet50
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights, maskrcnn_resnet50_fpn
from torchvision.ops import FrozenBatchNorm2d

from wholeframe.models.build import build
from wholeframe.models.detector_config import DetectorConfig, load_published
from wholeframe.models.zoo.detection import DETECTION_MODELS
from wholeframe.surgery.placement import in_block

TINY = DetectorConfig(backbone="maskrcnn_tiny_gc")


def test_sizes_norms_and_the_background():
    detector = build(TINY, 4)
    assert detector.transform.min_size == (256,) and detector.transform.max_size == 384
    assert detector.roi_heads.box_predictor.cls_score.out_features == 5
    other = build(DetectorConfig(backbone="maskrcnn_tiny_gc", size=(64, 96), norm="frozen"), 4)
    assert other.transform.min_size == (64, 96) and other.transform.max_size == 384
    assert isinstance(other.backbone.body.bn1, FrozenBatchNorm2d)
    assert build(DetectorConfig(backbone="maskrcnn_tiny", size=(500,)), 1).transform.max_size == 500


@pytest.mark.slow
def test_further_blocks_and_what_is_learned():
    example = ([torch.rand(3, 64, 96)],)
    config = DetectorConfig(backbone="maskrcnn_tiny", block="nl", at=("backbone.body.layer3",))
    assert any(in_block(name) for name in build(config, 2, example).state_dict())
    learned = {name: DetectorConfig(backbone=name).learns for name in DETECTION_MODELS}
    assert learned["retinanet_r50_gc"] == learned["fasterrcnn_r50"] == "boxes"
    assert learned["keypointrcnn_tiny"] == "keypoints" and learned["maskrcnn_x101_gc"] == "masks"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"backbone": "maskrcnn_r50_cg"}, r"no detector 'maskrcnn_r50_cg'; the nearest are maskrcnn_r50_gc,"),
        ({"backbone": "r50_gc"}, r"no detector 'r50_gc'"),
        ({"size": (800, 16)}, r"at least 32 pixels"),
        ({"size": (800,), "longest": 600}, r"size=800 is above longest=600; give --longest 800"),
    ],
)
def test_refused_fields(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        DetectorConfig(**fields)


@pytest.mark.slow
def test_refused_weights():
    with pytest.raises(ValueError, match=r"no published weights of 'maskrcnn_tiny_gc'; give weights None"):
        build(DetectorConfig(backbone="maskrcnn_tiny_gc", weights="COCO_V1"), 2)
    with pytest.raises(ValueError, match=r"weights='COCO_V9' is not one of 'COCO_V1', 'IMAGENET1K_V1'"):
        build(DetectorConfig(backbone="maskrcnn_r50_gc", weights="COCO_V9"), 2)


def test_published_weights_fill_all_but_blocks_and_layers_of_other_classes():
    """Random weights in the layout of torchvision's: none can be downloaded here."""
    source, target = build(DetectorConfig(backbone="maskrcnn_tiny"), 90), build(TINY, 4)
    state = source.state_dict()
    load_published(target, state)
    after = target.state_dict()
    kept = [name for name, value in after.items() if name not in state or state[name].shape != value.shape]
    heads = {"box_predictor.cls_score", "box_predictor.bbox_pred", "mask_predictor.mask_fcn_logits"}
    assert {name.rpartition(".")[0].removeprefix("roi_heads.") for name in kept if not in_block(name)} == heads
    assert all(torch.equal(after[name], state[name]) for name in after if name in state and name not in kept)
    del state["backbone.body.conv1.weight"]
    with pytest.raises(ValueError, match=r"lack 'backbone.body.conv1.weight'"):
        load_published(target, state)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [ResNet50_Weights.IMAGENET1K_V1, MaskRCNN_ResNet50_FPN_Weights.COCO_V1])
def test_weights_by_name_from_the_cache_of_torch(tmp_path, monkeypatch, weights):
    """A file of random weights with the name of torchvision's is taken as it would be after a download."""
    if weights is ResNet50_Weights.IMAGENET1K_V1:
        prefix, state = "", resnet50().state_dict()
    else:
        prefix, state = "backbone.body.", maskrcnn_resnet50_fpn(weights_backbone=None).state_dict()
    monkeypatch.setattr(type(weights), "get_state_dict", lambda *_args, **_options: state)
    detector = build(DetectorConfig(backbone="maskrcnn_r50_gc", weights=weights.name, norm="frozen"), 90)
    assert torch.equal(detector.backbone.body.layer4[2].conv3.weight, state[f"{prefix}layer4.2.conv3.weight"])
    assert torch.equal(detector.backbone.body.layer4[2].bn3.running_var, state[f"{prefix}layer4.2.bn3.running_var"])
