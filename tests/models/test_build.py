"""Backbones by name, blocks in them, and refusals. No test accesses the internet."""

import sys
import urllib.error

import pytest
import timm
import torch
import torchvision
from torch import nn

from wholeframe.blocks import BLOCKS
from wholeframe.models.build import BACKBONES, ModelConfig, block_maker, build, create_backbone
from wholeframe.models.toy import ToyNet

IMAGE = torch.randn(2, 3, 32, 24, generator=torch.Generator().manual_seed(0))


def unreachable(*_args, **_kwargs):
    raise urllib.error.URLError("no route to host")


# ------------------------------------------------------------------------------------------ the small network


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"strides": (2, 2, 2)}, (2, 5)),
        ({"strides": (2, 2, 2), "dense": True}, (2, 5, 4, 3)),
        ({"strides": (1, 2, 1), "dense": True}, (2, 5, 16, 12)),
        ({"strides": (1, 1, 1), "depth": 3, "width": 8}, (2, 5)),
    ],
)
def test_small_net_shapes(options, shape):
    assert ToyNet(5, **options)(IMAGE).shape == shape


def test_small_net_is_the_mean_of_its_dense_self():
    image_wise, dense = ToyNet(5, strides=(2, 2, 1)).eval(), ToyNet(5, strides=(2, 2, 1), dense=True).eval()
    dense.load_state_dict(image_wise.state_dict())
    assert torch.allclose(image_wise(IMAGE), dense(IMAGE).mean(dim=(2, 3)), atol=1e-6)


def test_small_net_depth_and_width():
    network = ToyNet(5, strides=(2, 2, 2), depth=2, width=16)
    convolutions = [m for m in network.stage2 if isinstance(m, nn.Conv2d)]
    assert [c.stride for c in convolutions] == [(2, 2), (1, 1)] and {c.out_channels for c in convolutions} == {16}


# -------------------------------------------------------------------------------------------------- backbones


@pytest.mark.parametrize(
    "name", [*BACKBONES, "torchvision/resnet18", "resnet18", "timm/convnext_atto", "convnext_atto"]
)
def test_backbones_have_an_output_for_each_class(name):
    assert create_backbone(name, 7).eval()(torch.zeros(1, 3, 64, 64)).shape[1] == 7


def test_a_bare_name_is_torchvisions_first():
    assert type(create_backbone("resnet18", 2)) is torchvision.models.ResNet
    assert type(create_backbone("timm/resnet18", 2)) is timm.models.ResNet


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("torchvision/resnet19", "torchvision has no model 'resnet19'; the nearest are resnet18"),
        (
            "timm/convnext_atom",
            "neither torchvision nor timm has a model 'convnext_atom'; the nearest are convnext_atto",
        ),
        ("resnett18", "neither torchvision nor timm has a model 'resnett18'; the nearest are resnet18"),
        ("keras/resnet18", "there is no library 'keras' of backbones; give torchvision/resnet18 or timm/resnet18"),
        ("torchvision/small", "torchvision has no model 'small'"),
        ("r50_gcc", "neither torchvision nor timm has a model 'r50_gcc'; the nearest are r50_gc"),
    ],
)
def test_unknown_backbones(name, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        create_backbone(name, 2)


def test_timm_may_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ValueError, match="no model 'resnet19t', and timm is not installed; install it with `uv sync"):
        create_backbone("resnet19t", 2)
    assert create_backbone("resnet18", 2).fc.out_features == 2


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", ["r18_gc", "r34_cgnl1"])
def test_networks_of_the_zoo_are_backbones(name):
    network = create_backbone(name, 7)
    assert network.fc.out_features == 7 and any("wholeframe" in key for key in network.state_dict())
    assert build(ModelConfig(backbone=name, block=None), 7).state_dict().keys() == network.state_dict().keys()


# ------------------------------------------------------------------------------------------ pretrained weights


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", ["r18_gc", "r50_gc"])
def test_the_backbone_of_a_named_network_can_be_pretrained(monkeypatch, name):
    """The backbone has the pretrained weights; the blocks keep their initial ones."""
    get_model = torchvision.models.get_model
    pretrained = []

    def fetched(name, weights=None, **options):
        network = get_model(name, **options)
        if weights is not None:
            pretrained.append((name, weights, {key: value.clone() for key, value in network.state_dict().items()}))
        return network

    monkeypatch.setattr(torchvision.models, "get_model", fetched)
    network = create_backbone(name, 3, "DEFAULT")
    ((parent, weights, before),) = pretrained
    assert (parent, weights) == (f"resnet{name[1:3]}", "DEFAULT")
    state = network.state_dict()
    assert all(torch.equal(state[key], value) for key, value in before.items() if not key.startswith("fc."))
    assert network.fc.out_features == 3 and any("wholeframe" in key for key in state)


def test_our_backbones_have_no_pretrained_weights():
    with pytest.raises(ValueError, match="no pretrained weights of 'small'"):
        create_backbone("small", 2, "DEFAULT")


def test_unreachable_weights_of_torchvision(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))
    with pytest.raises(ValueError, match=r"'DEFAULT' of 'resnet18' could not be fetched .*no route to host") as refused:
        create_backbone("torchvision/resnet18", 2, "DEFAULT")
    assert f"{tmp_path}/checkpoints" in str(refused.value)


def test_unreachable_weights_of_timm(monkeypatch):
    monkeypatch.setattr("timm.models._hub.hf_hub_download", unreachable)
    monkeypatch.setattr("timm.models._hub.download_cached_file", unreachable)
    with pytest.raises(ValueError, match=r"'DEFAULT' of 'convnext_atto' could not be fetched .*no route to host"):
        create_backbone("timm/convnext_atto", 2, "DEFAULT")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "torchvision/resnet18",
            "weights='IMAGENET1K_V9' is not one of 'IMAGENET1K_V1', 'DEFAULT'; did you mean 'IMAGE",
        ),
        ("timm/convnext_atto", "weights='IMAGENET1K_V9' is not one of 'DEFAULT', 'd2_in1k'"),
    ],
)
def test_unknown_weights(name, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        create_backbone(name, 2, "IMAGENET1K_V9")


@pytest.mark.parametrize(
    ("name", "head"), [("resnet18", "fc"), ("mobilenet_v3_small", "classifier.3"), ("densenet121", "classifier")]
)
def test_the_head_of_pretrained_networks_is_replaced(monkeypatch, name, head):
    make = torchvision.models.get_model
    pretrained = make(name, weights=None)

    def get_model(found, weights):
        assert (found, weights) == (name, "DEFAULT")
        return pretrained

    monkeypatch.setattr(torchvision.models, "get_model", get_model)
    before = {key: value.clone() for key, value in pretrained.state_dict().items()}
    network = create_backbone(name, 3, "DEFAULT")
    assert network.get_submodule(head).out_features == 3
    for key, value in network.state_dict().items():
        assert key.startswith(f"{head}.") or torch.equal(value, before[key])


def test_a_network_without_a_linear_head_is_refused(monkeypatch):
    network = torchvision.models.squeezenet1_1(weights=None)
    monkeypatch.setattr(torchvision.models, "get_model", lambda name, weights: network)
    with pytest.raises(ValueError, match="'squeezenet1_1' has no linear layer to replace for 3 classes"):
        create_backbone("squeezenet1_1", 3, "DEFAULT")


# ----------------------------------------------------------------------------------------------------- blocks


@pytest.mark.slow_beyond(6)
@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_are_at_their_sites(name):
    bare = {key for key, _ in build(ModelConfig(backbone="small", block=None), 3).named_parameters()}
    network = build(ModelConfig(backbone="small", block=name, at=("stage[23]",)), 3, IMAGE)
    new = {key for key, _ in network.named_parameters()} - bare
    assert new and bare <= {key for key, _ in network.named_parameters()}
    assert all("wholeframe" in key.split(".") for key in new)
    assert {key.split(".")[0] for key in new} == {"stage2", "stage3"}
    assert network(IMAGE).shape == (2, 3)


def test_a_glob_places_several_blocks():
    network = build(
        ModelConfig(backbone="torchvision/resnet18", block="gc", at=("layer[2-4].*.bn2",)), 4, torch.zeros(1, 3, 64, 64)
    )
    assert sum(type(m).__name__ == "GlobalContext" for m in network.modules()) == 6


def test_options_reach_the_block():
    assert block_maker("nl", {"inner": 3})(8).inner == 3
    narrow, wide = (sum(p.numel() for p in block_maker("gc", {"ratio": r})(16).parameters()) for r in (1 / 4, 1 / 2))
    assert narrow < wide


@pytest.mark.parametrize(
    ("block", "options", "sentence"),
    [
        ("nl_dott", {}, "there is no block 'nl_dott'; the nearest are nl_dot"),
        ("zzz", {}, "there is no block 'zzz'; there are nl, "),
        ("gc", {"ration": 0.25}, "the block 'gc' has no argument 'ration'; did you mean 'ratio'"),
        ("gc", {"ratio": "a"}, "ratio must be positive, got 'a'"),
        ("nl", {"pool_order": "first"}, "pool_order='first' is not one of 'before', 'after'"),
    ],
)
def test_refused_blocks(block, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(ModelConfig(backbone="small", block=block, options=options), 2, IMAGE)


def test_refused_sites():
    with pytest.raises(ValueError, match=r"at='stage9' matches no module; the nearest names are 'stage"):
        build(ModelConfig(backbone="small", at=("stage9",)), 2, IMAGE)
