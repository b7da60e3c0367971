"""Detectors of torchvision in a probe: it does not scale its own image up, and an empty answer proves something."""

import contextlib

import pytest
import torch
from torch import nn
from torchvision.models import detection
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

import wholeframe as wf
from wholeframe.models.detector import DetectorPlan
from wholeframe.surgery.detectors import is_detector


def ssdlite():
    return detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)


def fcos():
    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=5)
    return detection.FCOS(backbone, num_classes=3)


def fasterrcnn_v2():
    """With its own heads, and a ResNet-18 in place of the ResNet-50."""
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, trainable_layers=5, norm_layer=nn.BatchNorm2d
    )
    heads = detection.faster_rcnn.FastRCNNConvFCHead(
        (backbone.out_channels, 7, 7), [32] * 2, [64], norm_layer=nn.BatchNorm2d
    )
    predictor = detection.faster_rcnn.FastRCNNPredictor(64, 3)
    return detection.FasterRCNN(backbone, box_head=heads, box_predictor=predictor)


HOSTS = {
    fcos: "backbone.body.layer3.1",
    fasterrcnn_v2: "backbone.body.layer3.1",
    ssdlite: "backbone.features.0.12",
}


def seen_by(detector, name="backbone"):
    """The height and width of every batch that this part takes."""
    seen = []
    detector.get_submodule(name).register_forward_pre_hook(lambda _part, args: seen.append(tuple(args[0].shape[-2:])))
    return seen


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
@pytest.mark.parametrize("block", [wf.GlobalContext, pytest.param(wf.NonLocal, marks=pytest.mark.slow)])
def test_a_detector_takes_a_block_as_it_is(host, block):
    """On a map of channels and a grid, with a proof, and then removed without a trace."""
    torch.manual_seed(0)
    detector = host()
    keys, sizes = list(detector.state_dict()), (detector.transform.min_size, detector.transform.max_size)
    seen = seen_by(detector)
    report = wf.insert(detector, block, at=HOSTS[host])
    (row,) = report.rows
    assert report.unchanged and row.layout == wf.Layout() and row.remark is None
    assert set(seen) == {(320, 320) if host is ssdlite else (64, 64)}
    assert sizes == (detector.transform.min_size, detector.transform.max_size)
    assert wf.verify(detector).runs == (1,) and [p.site for p in wf.blocks_of(detector)] == [HOSTS[host]]
    assert wf.remove(detector) == [HOSTS[host]] and list(detector.state_dict()) == keys


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
def test_what_a_detector_finds_stays_equal_to_the_bit(host):
    torch.manual_seed(0)
    detector = host().eval()
    for part in detector.modules():
        if hasattr(part, "score_thresh"):
            part.score_thresh = 0.0  # of an untrained detector, which is sure of nothing
    detector.transform.min_size, detector.transform.max_size = (96,), 128
    images = [torch.rand(3, 90, 120), torch.rand(3, 70, 50)]
    before = detector(images)
    wf.insert(detector, wf.GlobalContext, at=HOSTS[host])
    assert before[0]["boxes"].numel()
    for one, other in zip(before, detector(images), strict=True):
        for name in one:
            torch.testing.assert_close(other[name], one[name], rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
def test_all_weights_of_a_block_learn(host):
    torch.manual_seed(0)
    detector = host()
    wf.insert(detector, wf.NonLocal, at=HOSTS[host])
    detector.train()
    detector.transform.min_size, detector.transform.max_size = (96,), 128
    blocks = {name: p for name, p in detector.named_parameters() if "wholeframe" in name}
    before = {name: p.detach().clone() for name, p in blocks.items()}
    targets = [{"boxes": torch.tensor([[20.0, 20.0, 80.0, 80.0]]), "labels": torch.tensor([1])}] * 2
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-3)
    for _ in range(3):  # The first step moves only the last layer of a block that starts as the identity.
        optimizer.zero_grad()
        sum(detector([torch.rand(3, 96, 128)] * 2, targets).values()).backward()
        optimizer.step()
    assert [name for name, p in blocks.items() if torch.equal(p, before[name])] == []


class Adds(nn.Module):
    """A block that is not an identity."""

    identity_at_init = False

    def __init__(self, channels):
        super().__init__()
        self.bias = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return x + self.bias


@pytest.mark.slow
def test_a_change_shows_where_nothing_is_found():
    detector = fcos().eval()
    detector.transform.min_size, detector.transform.max_size = (64,), 64
    assert not detector([torch.rand(3, 64, 64)])[0]["boxes"].numel()
    report = wf.insert(detector, Adds, at="backbone.body.layer3.1")
    assert not report.unchanged and report.deviation > 0 and report.rows[0].remark is None


def test_a_stage_that_the_pyramid_leaves_out_is_no_site():
    detector = detection.RetinaNet(
        resnet_fpn_backbone(backbone_name="resnet18", weights=None, returned_layers=[2, 3], trainable_layers=5), 3
    )
    with pytest.raises(ValueError, match=r"'backbone\.body\.layer4.*matches no module"):
        wf.insert(detector, wf.GlobalContext, at="backbone.body.layer4.1")


@pytest.mark.slow
def test_an_example_of_the_caller_is_scaled_as_every_image():
    detector = fcos()
    detector.transform.min_size, detector.transform.max_size = (96,), 128
    seen = seen_by(detector)
    wf.insert(detector, wf.GlobalContext, at="backbone.body.layer3.1", example=([torch.rand(3, 48, 64)],))
    assert set(seen) == {(96, 128)}


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("fails", [False, True])
def test_the_sizes_of_a_detector_come_back(fails):
    detector = DetectorPlan("maskrcnn", "tiny")(3)
    if fails:
        detector.backbone.register_forward_hook(lambda *_: {}["missing"])
    with pytest.raises(ValueError, match="does not run") if fails else contextlib.nullcontext():
        wf.insert(detector, wf.GlobalContext, at="backbone.body.layer3.0")
    assert is_detector(detector)
    assert (detector.transform.min_size, detector.transform.max_size) == ((256,), 384)


def test_a_block_in_a_head_without_regions_is_not_proved():
    """A head that gets no region runs on an empty batch, which shows nothing."""
    detector = DetectorPlan("keypointrcnn", "tiny")(2).eval()
    detector.roi_heads.score_thresh = 2.0
    report = wf.insert(detector, wf.GlobalContext, at="roi_heads.keypoint_head.3")
    assert not report.unchanged and "is empty" in report.unproved


@pytest.mark.slow
def test_a_detector_learns_nothing_from_the_example():
    """Its pooling of regions guesses the levels of the pyramid from the first batch, and keeps them."""
    detector = fasterrcnn_v2()
    detector.transform.min_size, detector.transform.max_size = (64,), 96
    wf.insert(detector, wf.GlobalContext, at="backbone.body.layer3.1", example=([torch.rand(3, 50, 70)],))
    assert detector.roi_heads.box_roi_pool.scales is None and detector.roi_heads.box_roi_pool.map_levels is None
