"""Detectors are those of torchvision, with blocks that change nothing at first and all learn."""

import pytest
import torch
from torchvision.models import detection

import wholeframe as wf
from wholeframe.models.detector import DetectorPlan
from wholeframe.models.resnet_sites import before_last, branches

TORCHVISION = {
    "maskrcnn": detection.maskrcnn_resnet50_fpn,
    "fasterrcnn": detection.fasterrcnn_resnet50_fpn,
    "retinanet": detection.retinanet_resnet50_fpn,
    "keypointrcnn": detection.keypointrcnn_resnet50_fpn,
}


def targets(keypoints=False):
    """One object per image, a box in the middle with its mask or its keypoints."""
    box = torch.tensor([[30.0, 20.0, 90.0, 80.0]])
    found = {"boxes": box, "labels": torch.tensor([1])}
    if keypoints:
        places = torch.stack([torch.linspace(35, 85, 17), torch.linspace(25, 75, 17), torch.ones(17)], dim=1)
        return [{**found, "keypoints": places[None]}] * 2
    mask = torch.zeros(1, 100, 120, dtype=torch.uint8)
    mask[:, 20:80, 30:90] = 1
    return [{**found, "masks": mask}] * 2


@pytest.mark.parametrize("kind", TORCHVISION)
def test_the_weights_of_torchvision_fit(kind):
    with torch.device("meta"):
        ours = DetectorPlan(kind, "resnet50")(5).state_dict()
        theirs = TORCHVISION[kind](weights=None, weights_backbone=None, num_classes=5).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {name: v.shape for name, v in theirs.items()}


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("kind", TORCHVISION)
def test_every_tiny_detector_detects(kind):
    detector = DetectorPlan(kind, "tiny", wf.GlobalContext, branches(18, 4))(3).eval()
    (found,) = detector([torch.rand(3, 64, 80)])
    assert {"boxes", "labels", "scores"} <= set(found) and detector.transform.max_size == 384


def test_a_frozen_norm_has_no_parameters():
    with torch.device("meta"):
        detector = DetectorPlan("maskrcnn", "resnet18")(5, norm="frozen")
    assert not any("bn" in name for name, _ in detector.backbone.body.named_parameters())
    with pytest.raises(ValueError, match="norm"):
        DetectorPlan("maskrcnn", "tiny")(5, norm="group")


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("block", [wf.GlobalContext, wf.NonLocal])
def test_blocks_in_a_detector_that_is_already_built(block):
    """Outputs, and with them boxes and masks, are equal to the bit."""
    torch.manual_seed(0)
    detector = DetectorPlan("maskrcnn", "tiny")(3).eval()
    detector.roi_heads.score_thresh = 0.0  # of an untrained detector, which is sure of nothing
    images = [torch.rand(3, 100, 120), torch.rand(3, 120, 90)]
    before = detector(images)
    DetectorPlan("maskrcnn", "tiny", block, branches(18, 3, 4, 5)).attach(detector)
    after = detector(images)
    assert before[0]["boxes"].numel()
    for one, other in zip(before, after, strict=True):
        for name in one:
            torch.testing.assert_close(other[name], one[name], rtol=0, atol=0)
    assert {placement.site for placement in wf.blocks_of(detector)} == {
        f"backbone.body.layer{stage}.{number}.bn2" for stage in (2, 3, 4) for number in (0, 1)
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plan", "keypoints"),
    [
        (DetectorPlan("maskrcnn", "tiny", wf.NonLocal, before_last(18)), False),
        (DetectorPlan("keypointrcnn", "tiny", wf.NonLocal, before_last(18), head_block=wf.NonLocal), True),
    ],
)
def test_all_weights_of_the_blocks_learn(plan, keypoints):
    torch.manual_seed(0)
    detector = plan(2).train()
    blocks = {name: p for name, p in detector.named_parameters() if "wholeframe" in name}
    before = {name: p.detach().clone() for name, p in blocks.items()}
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-3)
    for _ in range(3):  # The first step moves only the last layer of a block that starts as the identity.
        losses = detector([torch.rand(3, 100, 120), torch.rand(3, 100, 120)], targets(keypoints))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    assert len(wf.blocks_of(detector)) == (5 if keypoints else 1)
    assert [name for name, p in blocks.items() if torch.equal(p, before[name])] == []


def test_blocks_of_a_keypoint_head_come_after_every_second_convolution():
    with torch.device("meta"):
        detector = DetectorPlan("keypointrcnn", "tiny")(2)
    head = detector.roi_heads.keypoint_head
    sites = [name for name, module in head.named_children() if isinstance(module, torch.nn.ReLU)][1::2]
    built = DetectorPlan("keypointrcnn", "tiny", head_block=wf.NonLocal)(2)
    assert [p.site for p in wf.blocks_of(built)] == [f"roi_heads.keypoint_head.{site}" for site in sites]


@pytest.mark.parametrize(
    ("plan", "host", "named"),
    [
        (DetectorPlan("maskrcnn", "resnet18", wf.NonLocal, before_last(18)), torch.nn.Linear(2, 2), "backbone.body"),
        (
            DetectorPlan("keypointrcnn", "tiny", head_block=wf.NonLocal),
            DetectorPlan("maskrcnn", "tiny")(2),
            "roi_heads.keypoint_head",
        ),
    ],
)
def test_other_networks_are_refused(plan, host, named):
    before = list(host.state_dict())
    with pytest.raises(ValueError, match=named):
        plan.attach(host)
    assert list(host.state_dict()) == before


def test_batch_norms_of_a_detector_are_synchronised():
    """The published main tables of GCNet; the blocks at batch norms stay, and so does the output."""
    torch.manual_seed(0)
    detector = DetectorPlan("maskrcnn", "tiny", wf.GlobalContext, branches(18, 3, 4, 5))(3).eval()
    detector.roi_heads.score_thresh = 0.0
    image, keys = torch.rand(3, 64, 80), list(detector.state_dict())
    before = detector([image])[0]
    wf.sync_batchnorm(detector)
    kinds = {type(module) for module in detector.modules()}
    assert torch.nn.SyncBatchNorm in kinds and torch.nn.BatchNorm2d not in kinds
    assert list(detector.state_dict()) == keys and len(wf.verify(detector).runs) == 6
    assert before["boxes"].numel()
    for name, found in detector([image])[0].items():
        torch.testing.assert_close(found, before[name], rtol=0, atol=0)


def test_a_frozen_backbone_stays_and_its_blocks_learn():
    detector = DetectorPlan("maskrcnn", "tiny", wf.GlobalContext, branches(18, 4))(2, norm="frozen").train()
    norms = {name: b.clone() for name, b in detector.backbone.named_buffers()}
    optimizer = torch.optim.SGD(detector.parameters(), lr=1e-3)
    sum(detector([torch.rand(3, 100, 120)] * 2, targets()).values()).backward()
    optimizer.step()
    assert norms and all(torch.equal(b, norms[name]) for name, b in detector.backbone.named_buffers())
    assert all(p.grad is not None for name, p in detector.named_parameters() if "wholeframe" in name)
    wf.sync_batchnorm(detector)  # has no batch norm to turn
    assert not any(isinstance(module, torch.nn.SyncBatchNorm) for module in detector.modules())


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("kind", ["maskrcnn", "keypointrcnn", "fasterrcnn"])
def test_the_levels_of_regions_do_not_depend_on_the_first_batch(kind):
    """An image of 32 x 43 pixels is padded to 64 x 64, and torchvision would take half of its size for the stride 4."""
    detector = DetectorPlan(kind, "tiny")(3).eval()
    detector.transform.min_size, detector.transform.max_size = (32,), 64
    images = [torch.rand(3, 64, 48)]
    before = detector(images)[0]
    detector([torch.rand(3, 43, 32)])
    after = detector(images)[0]
    assert all(torch.equal(before[name], after[name]) for name in before)
    pool = detector.roi_heads.box_roi_pool
    assert pool.scales == [1 / 4, 1 / 8, 1 / 16, 1 / 32] and (pool.map_levels.k_min, pool.map_levels.k_max) == (2, 5)
