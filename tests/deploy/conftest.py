"""A small network with a block, a small detector, and a format that is written at once."""

import copy

import pytest
import torch
from torch import nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator

import wholeframe as wf
from wholeframe.deploy import formats
from wholeframe.deploy.parity import leaves


@pytest.fixture(scope="session")
def built():
    """The network of `small`, built once."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    )
    wf.insert(network, wf.GlobalContext, at="1", example=torch.zeros(1, 3, 32, 32))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


@pytest.fixture
def small(built):
    """Four classes from images of any size, with a block that changes the output, as training would leave it."""
    return copy.deepcopy(built)


@pytest.fixture
def detector():
    """Two classes and the background, from images of any size."""
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 16, 3, stride=8, padding=1), nn.ReLU())
    backbone.__dict__["out_channels"] = 16
    return detection.FasterRCNN(
        backbone, 3, min_size=64, max_size=96, box_score_thresh=0.0, rpn_pre_nms_top_n_test=20,
        rpn_anchor_generator=AnchorGenerator(((32, 64),), ((0.5, 1.0, 2.0),)),
        rpn_post_nms_top_n_test=8, box_detections_per_img=5,
    ).eval()  # fmt: skip


@pytest.fixture
def pickled(monkeypatch):
    """Whatever the exporter of .pt2 does not decide: the file has the network itself, written in no time.

    Called with a function of runs, it makes the opened file another one.
    """

    def write(prepared, file):
        torch.save([prepared.network, dict(prepared.strings)], file)

    def install(changed=lambda run: run):
        def opened(file):
            network, _ = torch.load(file, weights_only=False)
            return changed(lambda x: leaves(network(x)))

        monkeypatch.setitem(
            formats.FORMATS, ".pt2", formats.FORMATS[".pt2"]._replace(write=write, opened=torch.no_grad()(opened))
        )

    return install
