"""The named detectors: built by their names, with the published parameters."""

import pytest
import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn

import wholeframe as wf
from wholeframe.models.build import create_backbone
from wholeframe.models.zoo.detection import BACKGROUND, DETECTION_MODELS
from wholeframe.models.zoo.published import cost_of

# As printed in GCNet, table 2, in millions.
PRINTED = {
    "maskrcnn_r50": 44.4,
    "maskrcnn_r50_gc": 46.9,
    "maskrcnn_r50_gc_r4": 54.4,
    "maskrcnn_r50_gc1": 44.5,
    "maskrcnn_r50_snl1": 45.4,
    "maskrcnn_r50_nl1": 46.5,
}


@pytest.mark.parametrize(
    "name", ["maskrcnn_r50_nl1", *(pytest.param(n, marks=pytest.mark.slow) for n in PRINTED if n != "maskrcnn_r50_nl1")]
)
def test_parameters_with_the_heads_of_the_authors(name):
    """80 boxes and masks in place of 81: 4 rows of 1024 weights and a bias, and one of 256 and a bias."""
    without_background = cost_of(name).params - 4 * 1025 - 257
    assert "4,357" in BACKGROUND and round(without_background / 1e6, 1) == PRINTED[name]


@pytest.mark.slow
def test_the_multiply_adds_are_those_of_the_backbone():
    detector = wf.create_model("maskrcnn_tiny_gc")
    image = torch.zeros(1, *DETECTION_MODELS["maskrcnn_tiny_gc"].input)
    assert cost_of("maskrcnn_tiny_gc").macs == wf.cost(detector.backbone, image).macs
    assert cost_of("maskrcnn_tiny_gc").params == sum(p.numel() for p in detector.parameters())


@pytest.mark.slow
def test_the_small_ones_are_small():
    assert all(cost_of(name).params < 1.5e6 for name in DETECTION_MODELS if "tiny" in name)


def test_blocks_for_a_detector_of_torchvision():
    with torch.device("meta"):
        detector = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    wf.create_model("maskrcnn_r50_nl1", backbone=detector)
    (placement,) = wf.blocks_of(detector)
    assert (placement.site, placement.block, placement.channels) == ("backbone.body.layer3.4", "NonLocal", 1024)


def test_a_detector_is_not_a_classifier():
    with pytest.raises(ValueError, match=r"'maskrcnn_r50_gc' detects objects.*wf.create_model\('maskrcnn_r50_gc'\)"):
        create_backbone("maskrcnn_r50_gc", 10)
