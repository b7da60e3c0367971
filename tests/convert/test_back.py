"""The way back: what is written is read again bit for bit, or refused with the reason."""

import copy

import pytest
import torch
from torch import nn

import wholeframe as wf
from wholeframe import convert
from wholeframe.convert import back


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = wf.create_model("r18_gc", 5).eval()
    for tensor in made.state_dict().values():
        if tensor.is_floating_point() and tensor.ndim == 1:
            nn.init.uniform_(tensor, 0.5, 1)
    return made


def test_a_file_is_read_again_bit_for_bit(network, tmp_path):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    written = back.to(network, "mmcv")
    again = convert.checkpoint(written.save(tmp_path / "r18_gc.pth"))
    assert again.report.left == again.report.new == {}
    own, other = network.state_dict(), again.network.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) and torch.equal(own[name], before[name]) for name in own)
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(network(x), again.network(x))
    assert str(written).startswith("target: mmcv (open-mmlab/mmdetection")


def test_unknown_targets_and_other_things_are_refused(network):
    with pytest.raises(ValueError, match=r"target='slow_fast' is not one of .*; did you mean 'slowfast'"):
        back.to(network, "slow_fast")
    with pytest.raises(ValueError, match=r"network is a dict; give a network that is built"):
        back.to({}, "mmcv")


@pytest.fixture(scope="module")
def bare():
    with torch.device("meta"):
        return wf.create_model("r18_gc", 5)


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: setattr(n.layer2[0].bn1, "eps", 1e-3), r"layer2.0.bn1 has eps=0.001 here and eps=1e-05 there"),
        pytest.param(
            lambda n: setattr(n.layer2[0].bn1, "momentum", 0.01), r"bn1 has momentum=0.01 here", marks=pytest.mark.slow
        ),
        pytest.param(
            lambda n: setattr(n.layer3[0].conv2, "dilation", (2, 2)), r"has dilation=\(2, 2\)", marks=pytest.mark.slow
        ),
        (lambda n: setattr(n.layer4[1].bn2.wholeframe.add.norm, "eps", 1e-6), r"add.norm has eps=1e-06 here"),
        (lambda n: setattr(n, "relu", nn.SiLU()), r"relu is a SiLU here and a ReLU there"),
        (lambda n: wf.remove(n, "layer4.1.bn2"), r"a configuration of OpenMMLab gives every block of a stage the same"),
        (lambda n: n.layer1.add_module("2", nn.Linear(2, 2)), r"'mmcv' cannot express this network"),
    ],
)
def test_what_the_target_cannot_express_is_refused(bare, change, message):
    made = copy.deepcopy(bare)
    change(made)
    with pytest.raises(ValueError, match=message):
        back.to(made, "mmcv")


def test_a_lost_block_is_refused(bare):
    with torch.device("meta"):
        made = copy.deepcopy(bare)
        made.layer4[1].bn2 = nn.BatchNorm2d(512)
    with pytest.raises(ValueError, match=r"the block at 'layer4.1.bn2' no longer runs"):
        back.to(made, "mmcv")
