"""The networks of a comparison have equal weights, and the peer computes the same."""

import dataclasses
import sys

import pytest
import torch
from tiny_networks import ALONE, CASE, OWN, PACKAGE, Tiny, with_blocks
from torch import nn

import wholeframe as wf
from wholeframe.bench.sides import build_sides

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "mmcv.cnn", PACKAGE)


def test_the_plain_backbone_is_the_same_network_without_its_blocks():
    sides = build_sides(ALONE, CPU)
    assert sides.peer is sides.missing is sides.difference is None and list(sides.networks) == ["ours", "plain"]
    assert len(wf.blocks_of(sides.ours)) == 2 and not wf.blocks_of(sides.plain)
    plain, ours = sides.plain.state_dict(), sides.ours.state_dict()
    assert set(plain) == set(Tiny().state_dict()) and all(torch.equal(ours[key], plain[key]) for key in plain)


def test_running_statistics_are_those_of_an_input():
    norm = build_sides(ALONE, CPU).plain.first.bn
    assert norm.momentum == 0.1 and not torch.equal(norm.running_mean, torch.zeros(8)) and norm.running_var.min() > 0


def test_a_peer_after_our_sites_computes_the_same():
    sides = build_sides(CASE, CPU)
    assert isinstance(sides.peer.first.bn, nn.Sequential) and sides.difference < 1e-4
    x = torch.randn(2, 3, 12, 12)
    ours, plain, peer = (network.eval()(x) for network in (sides.ours, sides.plain, sides.peer))
    torch.testing.assert_close(ours, peer)
    assert (peer - plain).abs().max() > 1e-3, "the blocks of the peer change the output"


def test_a_peer_with_a_network_of_its_own_computes_the_same():
    case = dataclasses.replace(CASE, make=lambda: with_blocks(at=("first.bn",)), peer=OWN)
    sides = build_sides(case, CPU)
    assert sides.difference < 1e-4 and hasattr(sides.peer.first, "se")


def test_a_peer_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mmcv.cnn", None)
    sides = build_sides(CASE, CPU)
    assert sides.peer is sides.difference is None and sides.missing == "mmcv.cnn"


def test_a_network_without_blocks_has_no_plain_backbone():
    with pytest.raises(ValueError, match="'tiny' has no inserted blocks"):
        build_sides(dataclasses.replace(ALONE, make=Tiny), CPU)
