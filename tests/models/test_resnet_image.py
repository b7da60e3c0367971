"""The image networks: the sites of their blocks, the changes to the backbone, and backbones that are given."""

import json
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import nn

import wholeframe as wf
from wholeframe.models.cost import count
from wholeframe.models.resnet_image import ResNetPlan, gsop_net2, isqrt_net
from wholeframe.models.resnet_sites import STAGES
from wholeframe.models.zoo import card_of, create_model
from wholeframe.models.zoo.published import cost_of
from wholeframe.models.zoo.sizes import SIZES
from wholeframe.surgery.placement import has_block

PHOTO = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
RECORDED = json.loads((Path(__file__).parents[1] / "goldens" / "gcnet" / "whole_networks.json").read_text())


def blocks_of(network):
    """The class of the block at every site."""
    return {name: type(m.wholeframe).__name__ for name, m in network.named_modules() if has_block(m)}


@pytest.fixture(scope="module")
def state():
    """Weights of a ResNet-18 after a forward pass in training mode, which changes its running statistics."""
    network = torchvision.models.resnet18(num_classes=5)
    network.train()(PHOTO)
    return network.state_dict()


# ------------------------------------------------------------------------------------------------------ the sites


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sites"),
    [
        ("r18_se", {f"layer{stage}.{block}.bn2" for stage in (1, 2, 3, 4) for block in (0, 1)}),
        ("r18_gc", {f"layer{stage}.{block}.bn2" for stage in (2, 3, 4) for block in (0, 1)}),
        ("r18_nl1", {"layer3.0"}),
        ("r34_nl5", {"layer2.1", "layer2.3", "layer3.1", "layer3.3", "layer3.5"}),
        ("r34_nl10", {f"layer2.{i}" for i in range(4)} | {f"layer3.{i}" for i in range(6)}),
        ("r50_gc1", {"layer3.4"}),
        ("gsop1_r50", {"layer1.2.bn3", "layer2.3.bn3", "layer3.5.bn3", "layer4.2.bn3"}),
    ],
)
def test_blocks_are_at_their_published_sites(name, sites):
    assert set(blocks_of(create_model(name, 3))) == sites


def test_the_sites_in_deeper_backbones():
    """On the plans only: building a ResNet-152 is slow."""
    sites = {name: card_of(name).make.at for name in ("r101_nl1", "r101_nl5", "r152_cgnl1", "r101_gc", "gsop2_r101")}
    assert sites["r101_nl1"] == ("layer3.21",)
    assert sites["r101_nl5"] == ("layer2.1", "layer2.3", "layer3.6", "layer3.13", "layer3.20")
    assert sites["r152_cgnl1"] == ("layer3.34",)
    assert sites["r101_gc"] == ("layer2.*.bn3", "layer3.*.bn3", "layer4.*.bn3")
    assert sites["gsop2_r101"] == ("layer1.2.bn3", "layer2.3.bn3", "layer3.22.bn3")


@pytest.mark.parametrize("depth", STAGES)
def test_the_stages_are_torchvisions(depth):
    with torch.device("meta"):
        network = torchvision.models.get_model(f"resnet{depth}")
    assert tuple(len(network.get_submodule(f"layer{i}")) for i in (1, 2, 3, 4)) == STAGES[depth]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r18_gc", "r18_gc_r4", "r18_snl", "r18_nl1", "r18_cgnl1"])
def test_blocks_do_not_change_the_output_of_a_trained_network(name, state):
    bare = torchvision.models.resnet18(num_classes=5)
    network = create_model(name, 5)
    for each in (bare, network):
        missing = each.load_state_dict(state, strict=False)
        assert not missing.unexpected_keys and all("wholeframe" in key for key in missing.missing_keys)
    assert torch.equal(network.eval()(PHOTO), bare.eval()(PHOTO))


# ------------------------------------------------------------------------------------------- changes to the backbone


@pytest.mark.slow
def test_the_stride_is_an_argument():
    """It reduces 4.09 G multiply-adds to 3.86; the networks of the reference have no classifier."""
    recorded = RECORDED["gcnet_reference_resnet50"]["variants"]
    classifier = 2048 * 1000
    for stride, style in (("3x3", "pytorch"), ("1x1", "caffe")):
        bare = cost_of("r50", stride=stride)
        assert bare.macs - classifier == recorded[f"{style}_base"]["macs224_backbone"]
        assert bare.params == recorded[f"{style}_base"]["params_with_1000fc"]
    legacy = next(m for m in RECORDED["models"] if m["model"] == "legacy_seresnet50")
    se = cost_of("r50_se", stride="1x1")
    assert (se.params, se.macs) == (legacy["params"], legacy["macs_224"])


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [16, pytest.param(4, marks=pytest.mark.slow)])
def test_global_context_costs_what_the_reference_counts(ratio):
    recorded = RECORDED["gcnet_reference_resnet50"]["variants"][f"caffe_r{ratio}"]
    gc = cost_of("r50_gc" if ratio == 16 else f"r50_gc_r{ratio}", stride="1x1")
    assert gc.params == recorded["params_with_1000fc"]
    assert gc.macs == recorded["macs224_backbone"] + 2048 * 1000


def test_notes_on_figures_that_differ():
    """The notes on the cards of GCNet's table say which way of counting gives the printed figure."""
    bare, positions = cost_of("r50", stride="1x1").macs, 14 * 14
    pooled = 2 * 1024 * 512 * (positions + positions // 4)  # theta and W_z, phi and g on pooled keys; no attention
    assert f"{(bare + pooled) / 1e9:.2f}" == "4.11"
    maps = 4 * 512 * 28**2 + 6 * 1024 * 14**2 + 3 * 2048 * 7**2
    mean = bare + SIZES["r50_gc_avg"][1] - SIZES["r50"][1]
    assert (f"{mean / 1e9:.2f}", f"{(mean + 2 * maps) / 1e9:.2f}") == ("3.86", "3.87")
    assert SIZES["r50_gc"][0] - SIZES["r50_gc_avg"][0] == 14_349


def test_strides_that_are_refused():
    with pytest.raises(ValueError, match="stride='1x1' has no meaning in ResNet-18, whose blocks have two 3x3"):
        create_model("r18_gc", stride="1x1")
    with pytest.raises(ValueError, match="stride='3' is not one of '3x3', '1x1'"):
        create_model("r50", stride="3")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "params", "macs", "centred"),
    [
        ("gsop1_r50", 28_285_224, "6.564", ((128, 28), (128, 28), (128, 14), (128, 14))),
        ("gsop2_r50", 58_278_568, "6.761", ((128, 28), (128, 28), (128, 14), (256, 14))),
    ],
)
def test_second_order_networks_cost_what_the_released_code_does(name, params, macs, centred):
    """The released code also centres by X J X^T with a positions x positions matrix J; ours subtracts the mean."""
    cost = cost_of(name)
    assert cost.params == params
    assert f"{(cost.macs + sum(d * side**4 for d, side in centred)) / 1e9:.3f}" == macs


@pytest.mark.slow
def test_the_stride_of_res5_and_the_steps_of_the_root():
    plain, kept = ResNetPlan(18), ResNetPlan(18, last_stride=1)
    sides = []
    for plan in (plain, kept):
        network = plan(2).eval()
        network.layer4.register_forward_hook(lambda _m, _x, out: sides.append(out.shape[-1]))
        network(PHOTO)
    assert sides == [2, 4]
    nets = {plan: plan(2) for plan in (gsop_net2(50), isqrt_net(50))}
    assert [net.avgpool.steps for net in nets.values()] == [3, 5]
    assert [net.avgpool.triangle for net in nets.values()] == ["lower", "upper"]
    assert [net.fc.in_features for net in nets.values()] == [32896, 32896]
    assert [len(blocks_of(net)) for net in nets.values()] == [3, 0]


def test_gsop_strides_in_res2_alone():
    network = create_model("gsop1_r50_sum", 2)
    strides = {name: m.wholeframe.channel.stride for name, m in network.named_modules() if has_block(m)}
    assert strides == {"layer1.2.bn3": 2, "layer2.3.bn3": 1, "layer3.5.bn3": 1, "layer4.2.bn3": 1}


# -------------------------------------------------------------------------------------------------- given backbones


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", ["r18_gc", "r18_nl1"])
def test_the_same_in_a_timm_backbone(name):
    backbone = timm.create_model("resnet18", num_classes=5).eval()
    before = backbone(PHOTO)
    given = wf.create_model(name, backbone=backbone)
    assert given is backbone and torch.equal(backbone(PHOTO), before)
    assert blocks_of(backbone) == blocks_of(wf.create_model(name, 5))


@pytest.mark.slow
def test_the_same_cost_in_a_timm_backbone():
    theirs = count(lambda: wf.create_model("gsop2_r50", backbone=timm.create_model("resnet50")), (3, 224, 224))
    assert theirs == cost_of("gsop2_r50")


def test_second_order_pooling_in_a_timm_backbone():
    backbone = wf.create_model("isqrt_r50", backbone=timm.create_model("resnet50", num_classes=7).double())
    assert backbone.eval()(PHOTO.double()).shape == (2, 7)
    assert backbone.fc.weight.dtype == torch.float64


def test_backbones_with_other_names():
    backbone = timm.create_model("convnext_atto")
    keys = list(backbone.state_dict())
    with pytest.raises(
        ValueError, match=r"the backbone \(ConvNeXt\) has no layer1, layer2, layer3, layer4, fc; list its"
    ):
        wf.create_model("r50_gc", backbone=backbone)
    assert list(backbone.state_dict()) == keys


def test_a_backbone_with_too_few_blocks():
    with pytest.raises(ValueError, match=r"at='layer3.4' matches no module"):
        wf.create_model("r50_nl1", backbone=torchvision.models.resnet18())


def test_a_given_backbone_takes_no_options():
    backbone = torchvision.models.resnet18()
    with pytest.raises(ValueError, match="num_classes, stride cannot be changed in a backbone that is already built"):
        wf.create_model("r18_gc", 5, backbone=backbone, stride="3x3")
    assert not blocks_of(backbone)


def test_wrong_names():
    with pytest.raises(ValueError, match="there is no network 'r50_gcc'; the nearest are r50_gc, "):
        wf.create_model("r50_gcc")
    with pytest.raises(ValueError, match="there is no network 'zzz'; there are r18, r34, r50"):
        wf.create_model("zzz")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"num_clases": 10}, r"create_model\('r50_gc'\) has no argument 'num_clases'; did you mean 'num_classes'\?"),
        ({"ratio": 4}, r"has no argument 'ratio' \(it takes num_classes, backbone, stride\)"),
        ({"num_classes": "10"}, "num_classes='10' must be an integer of at least 1"),
        ({"num_classes": 0}, "num_classes=0 must be an integer of at least 1"),
        ({"backbone": "resnet50"}, "backbone='resnet50' must be a network that is already built, such as torchvision"),
    ],
)
def test_wrong_arguments(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        wf.create_model("r50_gc", **arguments)


def test_a_name_of_another_type():
    with pytest.raises(ValueError, match="name=50 must be the name of a network, such as 'r50_gc'"):
        wf.create_model(50)


def test_an_option_of_a_video_network():
    with pytest.raises(
        ValueError, match=r"create_model\('c2d_r18'\) has no argument 'pool'.* \(it takes .*, dropout\)"
    ):
        wf.create_model("c2d_r18", pool=3)


def test_a_network_trains():
    network = create_model("r18_cgnl1", 3).train()
    nn.functional.cross_entropy(network(PHOTO), torch.tensor([0, 2])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
