"""Files of networks without a block: what they are, and what to do with them."""

import re

import pytest
import timm
import torch
import torchvision

from wholeframe import convert
from wholeframe.convert.plain_networks import plain_network


@pytest.fixture(autouse=True)
def without_values():
    with torch.device("meta"):
        yield


def keys(make, prefix=""):
    return [prefix + key for key in make().state_dict()]


@pytest.mark.parametrize(
    ("make", "prefix", "expected"),
    [
        (
            torchvision.models.resnet18,
            "",
            r"is a ResNet-18 .*torchvision.models.resnet18\(\), .*wf.insert; `wholeframe tr",
        ),
        (
            torchvision.models.resnet18,
            "backbone.",
            r"ResNet-18 .*'backbone.layer1.0.*names begin with 'backbone.', with",
        ),
        (lambda: timm.create_model("resnet26d"), "", r"is a ResNet \(.*timm.create_model\('resnet50d'\)"),
        (torchvision.models.video.r3d_18, "", "is a ResNet for clips "),
        (torchvision.models.alexnet, "module.", "is a VGG or an AlexNet .'module.features.0.weight', 'module.class"),
        (torchvision.models.mobilenet_v2, "", "is a MobileNet "),
        (lambda: timm.create_model("vit_tiny_patch16_224", depth=1), "", "is a vision transformer .'cls_token'"),
        (lambda: timm.create_model("swin_tiny_patch4_window7_224", depths=(1, 1, 1, 1)), "", "is a Swin Transformer"),
        (lambda: timm.create_model("convnext_atto"), "encoder.", "is a ConvNeXt .'encoder.stages.0"),
    ],
)
def test_a_network_without_blocks_is_named(make, prefix, expected):
    found = plain_network(keys(make, prefix), 20)
    assert re.search(expected, found), found
    assert "without a block of any of the 20 sources, so nothing in it is converted" in found


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["backbone.bottom_up.res2.0.conv1.weight"], "a ResNet of Detectron2"),
        (["conv1_w", "res2_0_branch2a_w"], "a ResNet of Caffe2"),
        (["model.embed_tokens.weight"], "a language model"),
        (["0.conv.weight", "1.conv.weight"], "a YOLO network"),
    ],
)
def test_the_program_that_wrote_the_file_is_named(names, expected):
    found = plain_network(names, 3)
    assert f"is {expected} (" in found and "build the network with the program that wrote the file" in found


def test_parts_of_an_unknown_attention_are_named():
    names = [*keys(torchvision.models.resnet18), "layer1.0.cbam.ChannelGate.mlp.1.weight"]
    assert "parts that none of the 20 sources has ('layer1.0.cbam.ChannelGate.mlp.1.weight')" in plain_network(
        names, 20
    )


def test_other_names_are_not_guessed():
    assert plain_network(["stem.proj.weight", "blocks.0.norm.weight"], 20) is None


def test_names_are_shown_safely(tmp_path):
    evil = "\x1b[2J\x07layer1.0.conv1.weight"
    assert "\x1b" not in plain_network([f"{evil}.layer1.0.conv1.weight"], 20)


def test_a_file_is_refused_with_this(tmp_path):
    with torch.device("cpu"):
        torch.save(torchvision.models.mobilenet_v2(width_mult=0.1).state_dict(), tmp_path / "net.pth")
        with pytest.raises(ValueError, match=r"net\.pth' is a MobileNet "):
            convert.checkpoint(tmp_path / "net.pth")
