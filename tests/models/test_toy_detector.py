"""The small Mask R-CNN of `compare`: what a box can see of the image, and the classes of its outputs."""

import pytest
import torch
from torch import nn

from wholeframe.data.shapes import CELL, CLASSES, LARGEST, PAIRS, PARTNERED, SIZE, Shapes
from wholeframe.models.build import build
from wholeframe.models.toy_detector import ToyBackbone, ToyDetectorConfig, toy_detector


def test_a_training_step_and_detections():
    detector = toy_detector(len(CLASSES))
    items = [Shapes(2, 0)[i] for i in range(2)]
    losses = detector([image for image, _ in items], [target for _, target in items])
    assert {"loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness"} <= set(losses)
    (found,) = detector.eval()([items[0][0]])
    assert found["masks"].shape[1:] == (1, SIZE, SIZE) and set(found["labels"].tolist()) <= {1, 2, 3, 4}


def test_the_block_is_in_the_backbone():
    detector = build(ToyDetectorConfig(block="nl"), 4, ([torch.rand(3, SIZE, SIZE)],))
    assert detector.backbone.stage3[-1].wholeframe.channels == ToyBackbone.out_channels


@pytest.mark.parametrize("size", [(SIZE, SIZE), (64, 96), (40, 80)])
def test_boxes_are_cut_out_of_the_map_at_its_stride(size):
    """torchvision derives the stride from the first images, here those on which a block was inserted."""
    detector = build(ToyDetectorConfig(block="gc", options={"ratio": 0.25}), 4, ([torch.rand(3, *size)],))
    detector.eval()([torch.rand(3, SIZE, SIZE)])
    assert detector.roi_heads.box_roi_pool.scales == [0.25]


def test_no_position_of_a_disc_sees_its_partner():
    backbone = ToyBackbone().eval()
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.01)  # Positive, so that no ReLU blocks a path.
    image = torch.ones(1, 3, SIZE, SIZE, requires_grad=True)
    (gradient,) = torch.autograd.grad(backbone(image)[0, :, 8, 8].sum(), image)
    seen = gradient[0].abs().sum(dim=0).nonzero()
    assert (seen.max(dim=0).values - seen.min(dim=0).values + 1).tolist() == [15, 15]
    # From the edge of the disc's box: half the field, and one more cell, into which the box may be drawn.
    reach = 15 // 2 + 4
    nearest = 2 * CELL - 2 - 2 * LARGEST - 1  # Two cells between the centres, less their jitter and both radii.
    assert nearest > reach
    assert len(PARTNERED) == 2 and PAIRS > 1
