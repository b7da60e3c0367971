"""A network is built again from its origin."""

import pytest
import torch
from torch import nn

from wholeframe.models.build import create_backbone
from wholeframe.models.origin import Origin, origin_of
from wholeframe.models.rebuild import rebuild


@pytest.mark.parametrize(
    "name",
    ["small", "small_c2d", "torchvision/squeezenet1_1", "timm/test_resnet", "lraspp_mobilenet_v3_large"],
)
def test_a_backbone_remembers_how_it_was_built(name):
    network = create_backbone(name, 3)
    again = rebuild(origin_of(network))
    assert str(again) == str(network) and origin_of(again) == origin_of(network)
    assert [(k, v.shape) for k, v in again.state_dict().items()] == [
        (k, v.shape) for k, v in network.state_dict().items()
    ]


def test_replaced_modules_become_identities():
    network = rebuild(Origin("timm", "test_resnet", {"num_classes": 3}, ("fc", "layer1.0.act2")))
    assert type(network.fc) is nn.Identity and type(network.layer1[0].act2) is nn.Identity


def test_it_is_built_without_memory_on_the_meta_device():
    with torch.device("meta"):
        network = rebuild(Origin("torchvision", "squeezenet1_1", {"num_classes": 3}))
    assert all(parameter.is_meta for parameter in network.parameters())


@pytest.mark.parametrize(
    ("origin", "sentence"),
    [
        (Origin("torch", "x"), r"library='torch' is not one of 'wholeframe', 'torchvision', 'timm'"),
        (Origin("wholeframe", "smal"), r"wholeframe has no network 'smal'; the nearest are small"),
        (Origin("wholeframe", "small", {"clases": 3}), r"small has no argument 'clases'"),
        (Origin("torchvision", "squeezenet"), r"torchvision has no model 'squeezenet'; the nearest are squeezenet1"),
        (Origin("timm", "test_resnt"), r"neither torchvision nor timm has a model 'test_resnt'"),
        (Origin("timm", "test_resnet", {}, ("layer9",)), r"has no module 'layer9' to replace; the nearest are layer"),
    ],
)
def test_origins_that_nothing_builds(origin, sentence):
    with pytest.raises(ValueError, match=sentence):
        rebuild(origin)
