"""Which module runs: blocks as one, shared modules by their first name, hooks that go away."""

import torch
from torch import nn

import wholeframe as wf
from wholeframe.models.running import places, running


def test_a_block_is_one_module():
    network = nn.Sequential(nn.Conv2d(3, 64, 1), nn.Sequential(wf.GlobalContext(64)), nn.ReLU())
    assert list(places(network)) == ["", "0", "1", "1.0", "2"]
    assert list(places(network[1][0])) == [""]


def test_a_name_that_begins_like_that_of_a_block_is_not_in_it():
    network = nn.ModuleDict({"gc": wf.GlobalContext(64), "gcnet": nn.ReLU()})
    assert list(places(network)) == ["", "gc", "gcnet"]


def test_who_runs():
    network = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh(), nn.ReLU()))
    network.append(network[0])
    told = []
    with running(
        network,
        lambda name: told.append(("enter", name, now.innermost)),
        lambda name, _module, _args: told.append(("leave", name, now.innermost)),
    ) as now:
        network(torch.zeros(1))
        assert now.innermost == ""
    assert told == [
        ("enter", "", ""),
        ("enter", "0", ""),
        ("leave", "0", "0"),
        ("enter", "1", ""),
        ("enter", "1.0", "1"),
        ("leave", "1.0", "1.0"),
        ("enter", "1.1", "1"),
        ("leave", "1.1", "1.1"),
        ("leave", "1", "1"),
        ("enter", "0", ""),
        ("leave", "0", "0"),
        ("leave", "", ""),
    ]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
