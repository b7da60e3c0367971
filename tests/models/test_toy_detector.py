"""The small FCOS of `compare`: what a position can see of the image, and the classes of its outputs."""

import torch
from torch import nn

from wholeframe.data.shapes import CELL, CLASSES, LARGEST, PAIRS, PARTNERED, SIZE, Shapes
from wholeframe.models.build import build
from wholeframe.models.toy_detector import STRIDE, ToyBackbone, ToyDetectorConfig, toy_detector


def test_a_training_step_and_detections():
    detector = toy_detector(len(CLASSES))
    items = [Shapes(2, 0)[i] for i in range(2)]
    losses = detector([image for image, _ in items], [target for _, target in items])
    assert set(losses) == {"classification", "bbox_regression", "bbox_ctrness"}
    nn.init.zeros_(detector.head.classification_head.cls_logits.bias)  # So that an untrained detector finds something.
    (found,) = detector.eval()([items[0][0]])
    assert found["boxes"].shape == (len(found["labels"]), 4) and set(found["labels"].tolist()) <= {0, 1, 2, 3, 4}
    assert len(found["labels"]) > 0


def test_the_block_is_in_the_backbone():
    detector = build(ToyDetectorConfig(block="nl"), 4, ([torch.rand(3, SIZE, SIZE)],))
    assert detector.backbone.stage3[-1].wholeframe.channels == ToyBackbone.out_channels


def test_no_position_on_a_disc_sees_its_partner():
    detector = toy_detector(len(CLASSES)).eval()
    for module in detector.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.01)  # Positive, so that no ReLU blocks a path.
    image = torch.ones(1, 3, SIZE, SIZE, requires_grad=True)
    logits = detector.head([detector.backbone(image)])
    position = 8 * SIZE // STRIDE + 8
    (gradient,) = torch.autograd.grad(logits["cls_logits"][0, position].sum(), image)
    seen = gradient[0].abs().sum(dim=0).nonzero()
    field = 15 + 4 * STRIDE  # Of the backbone, and two convolutions of the head on its map.
    assert (seen.max(dim=0).values - seen.min(dim=0).values + 1).tolist() == [field, field]
    # From a position on the disc to the nearest pixel of the partner: two cells, less their jitter and both radii.
    nearest = 2 * CELL - 2 - 2 * LARGEST
    assert nearest > field // 2
    assert len(PARTNERED) == 2 and PAIRS > 1
