"""The parts of networks of torchvision and timm, and the learning rates of their layers."""

import pytest
import torch

from wholeframe.models.build import ModelConfig, build, create_backbone
from wholeframe.train.layer_rates import depth_of_parts, parts
from wholeframe.train.optim import parameter_groups, roles
from wholeframe.train.recipe import Schedule


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("torchvision/resnet18", 7, "conv1", "fc"),
        ("torchvision/convnext_tiny", 9, "features.0", "classifier"),
        ("torchvision/mobilenet_v3_small", 14, "features.0", "classifier"),
        ("timm/convnext_atto", 6, "stem", "head"),
        ("timm/swin_tiny_patch4_window7_224", 7, "patch_embed", "head"),
    ],
)
def test_parts(name, count, first, last):
    found = parts(create_backbone(name, 3))
    assert (len(found), found[0], found[-1]) == (count, first, last)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", ["torchvision/vit_b_16", "timm/vit_tiny_patch16_224"])
def test_layers_of_a_transformer_follow_its_tokens(name):
    depths = depth_of_parts(create_backbone(name, 3))
    token = next(depth for key, depth in depths.items() if key in ("class_token", "cls_token"))
    layers = [depth for key, depth in depths.items() if key.endswith(("mlp.fc1.weight", "mlp.0.weight"))]
    assert token == 0 and layers == list(range(1, 13)) and max(depths.values()) == 14


def test_rates_fall_from_the_last_part_to_the_first_and_not_in_blocks():
    network = build(
        ModelConfig(backbone="torchvision/resnet18", block="gc", at=("layer2.1",)), 3, torch.zeros(1, 3, 64, 64)
    )
    schedule = Schedule(lr=1.0, block_lr=10.0, layer_lr=0.5)
    rates = {}
    for group in parameter_groups(network, schedule, roles(network)):
        rates |= {parameter: group["lr"] for parameter in group["params"]}
    found = {name: rates[parameter] for name, parameter in network.named_parameters()}
    assert found["fc.weight"] == 1 and found["layer4.1.bn2.bias"] == 0.5 and found["layer1.0.conv1.weight"] == 0.5**4
    assert found["conv1.weight"] == 0.5**6
    assert {rate for name, rate in found.items() if "wholeframe" in name} == {10.0}


def test_by_default_the_groups_are_those_of_earlier_versions():
    network = create_backbone("torchvision/resnet18", 3)
    groups = parameter_groups(network, Schedule(), roles(network))
    assert [(len(group["params"]), group["lr"]) for group in groups] == [(21, 4e-3), (41, 4e-3)]
    named = parameter_groups(network, Schedule(layer_lr=0.9), roles(network))
    assert sum(len(group["params"]) for group in named) == 62 and len({group["name"] for group in named}) == 7


@pytest.mark.parametrize("value", [0, -1, 1.1, float("nan")])
def test_factors_that_cannot_be(value):
    with pytest.raises(ValueError, match="layer_lr must be above 0 and at most 1"):
        Schedule(layer_lr=value)
