"""Video networks in PySlowFast's names: the configuration, the round trip, and what PySlowFast cannot express."""

import pytest
import torch
import yaml
from torch import nn

import wholeframe as wf
from wholeframe import convert
from wholeframe.blocks import GlobalContext, NonLocal
from wholeframe.convert import back
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.surgery.placement import Layout, attach
from wholeframe.surgery.record import remember

BLOCK = {"pool": 2, "pool_order": "before"}


def network(convention="slowfast", architecture="i3d", depth=50, sites=("layer2.1", "layer3.3"), **options):
    made = VideoResNet.like(convention, architecture, depth, num_classes=5)
    for site in sites:
        block = NonLocal.like("slowfast", 512 if site.startswith("layer2") else 1024, **{**BLOCK, **options})
        attach(made.get_submodule(site), block, Layout())
    remember(made, {site: 512 if site.startswith("layer2") else 1024 for site in sites})
    return made.eval()


@pytest.mark.parametrize(
    ("options", "arch"),
    [
        pytest.param({"frame_groups": 2}, "i3d", marks=pytest.mark.slow),
        pytest.param(
            {"convention": "nopool", "architecture": "slowonly", "kind": "dot", "scale": None},
            "slow",
            marks=pytest.mark.slow,
        ),
        pytest.param({"architecture": "c2d", "pool": 1, "sites": ("layer3.3",)}, "c2d", marks=pytest.mark.slow),
    ],
)
def test_the_round_trip_is_bit_equal(options, arch, tmp_path):
    torch.manual_seed(0)
    ours = network(**options)
    path = back.to(ours, "slowfast").save(tmp_path / "net.pyth")
    content = torch.load(path, weights_only=True)
    cfg = yaml.safe_load(content["cfg"])
    assert cfg["MODEL"]["ARCH"] == arch
    assert cfg["NONLOCAL"]["LOCATION"][2] == [[3]]
    assert content["model_state"]["s4.pathway0_nonlocal3.conv_theta.weight"].shape == (512, 1024, 1, 1, 1)
    again = convert.checkpoint(path)
    assert again.report.left == again.report.new == {}
    own, other = ours.state_dict(), again.network.state_dict()
    assert own.keys() == other.keys() and all(torch.equal(own[name], other[name]) for name in own)
    clip = torch.randn(1, 3, 4, 32, 32)
    assert torch.equal(ours(clip), again.network(clip))


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool_order": "after"}, r"layer2.1.wholeframe has pool_order='after' here and pool_order='before' there"),
        ({"scale": None}, r"layer2.1.wholeframe has scale=1 here and scale=0.0"),
        pytest.param({"scale": 0.5}, r"layer2.1.wholeframe has scale=0.5 here", marks=pytest.mark.slow),
        pytest.param({"eps": 1e-3}, r"layer2.1.wholeframe.norm has eps=0.001 here", marks=pytest.mark.slow),
        pytest.param({"norm": None}, r"lacks 14 tensors|lacks \d+ tensors", marks=pytest.mark.slow),
        (
            {"out_bias": False},
            r"lacks 2 tensors of \d+ of such a network: 's3.pathway0_nonlocal\*.conv_out.bias'|lacks",
        ),
        pytest.param(
            {"attend_over": "space", "pool": 1},
            r"has attend_over='space' here and attend_over='spacetime' there",
            marks=pytest.mark.slow,
        ),
        ({"inner": 64}, r"the block at 'layer2.1' is 64 wide inside, and PySlowFast's are half as wide"),
        ({"frames_per_group": 2}, r"NONLOCAL.GROUP is a number of groups"),
        pytest.param(
            {"kind": "gaussian", "scale": None},
            r"PySlowFast has no kind 'gaussian' \(at 'layer2.1'\)",
            marks=pytest.mark.slow,
        ),
        ({"convention": "caffe2"}, r"pool1 has padding=\(0, 0, 0\) here and padding=\(0, 1, 1\) there"),
        pytest.param(
            {"convention": "mmaction2"},
            r"conv1 has stride=\(2, 2, 2\) here and stride=\(1, 2, 2\) there",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"architecture": "i3d333"},
            r"the temporal kernels of this network are those of no MODEL.ARCH",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"sites": ("layer2.1.bn3",)},
            r"PySlowFast has its blocks after a residual block.*this is at 'layer2.1.bn3'",
            marks=pytest.mark.slow,
        ),
        ({"depth": 152}, r"depths of 50 and 101, and this has 152"),
    ],
)
def test_what_it_cannot_express_is_refused(options, message):
    with torch.device("meta"):
        ours = network(**options)
    with pytest.raises(ValueError, match=message):
        back.to(ours, "slowfast")


def test_other_networks_and_blocks_are_refused():
    with pytest.raises(ValueError, match=r"PySlowFast's networks are video ResNets, and this is a Linear"):
        back.to(nn.Linear(2, 2), "slowfast")
    with torch.device("meta"):
        ours = network()
        attach(ours.layer3[0], GlobalContext(1024), Layout())
        remember(ours, {"layer3.0": 1024})
    with pytest.raises(ValueError, match=r"'layer3.0' is a GlobalContext, and PySlowFast has non-local blocks alone"):
        back.to(ours, "slowfast")


def test_blocks_of_one_stage_share_their_pool():
    with torch.device("meta"):
        ours = network(sites=("layer3.1", "layer3.3"))
        wf.remove(ours, "layer3.1")
        attach(ours.layer3[1], NonLocal.like("slowfast", 1024, pool=1), Layout())
        remember(ours, {"layer3.1": 1024})
    with pytest.raises(ValueError, match=r"PySlowFast has one pool in a stage for all blocks, and these have"):
        back.to(ours, "slowfast")
