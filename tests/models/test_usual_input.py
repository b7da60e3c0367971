"""The input of a network is that of its card or configuration, else a clip or an image of the usual size."""

import pytest
import timm
import torch
import torchvision
from torch import nn

import wholeframe as wf
from wholeframe.models.origin import Origin, origin_of
from wholeframe.models.usual_input import usual_colours, usual_size


@pytest.mark.parametrize(
    ("make", "origin", "size"),
    [
        (lambda: wf.create_model("c2d_r18_nl1"), None, (3, 32, 224, 224)),
        (lambda: timm.create_model("test_resnet", in_chans=1), None, (1, 160, 160)),
        (lambda: torchvision.models.squeezenet1_1(), Origin("torchvision", "inception_v3"), (3, 299, 299)),
        (lambda: torchvision.models.squeezenet1_1(), None, (3, 224, 224)),
        (lambda: torchvision.models.video.mc3_18(), None, (3, 16, 112, 112)),
        (lambda: torchvision.models.video.mc3_18(), Origin("torchvision", "mc3_18"), (3, 16, 112, 112)),
        (lambda: nn.Conv2d(5, 2, 3), None, (5, 224, 224)),
        (lambda: wf.create_model("maskrcnn_tiny_gc", 4), None, None),
    ],
)
def test_the_size(make, origin, size):
    with torch.device("meta"):
        network = make()
    assert usual_size(network, origin or origin_of(network)) == size


def test_the_colours():
    with torch.device("meta"):
        of_timm, other = timm.create_model("test_resnet"), torchvision.models.squeezenet1_1()
    assert usual_colours(of_timm, None) == ((0.5,) * 3, (0.5,) * 3)
    assert usual_colours(other, Origin("torchvision", "squeezenet1_1")) == (
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
    )
    assert usual_colours(other, None) is None
