"""Where a non-local block is out of reach, `wholeframe cost` counts what cheaper blocks would take."""

from functools import partial

import pytest
import torch
from tiny_networks import SAMPLE, Tiny
from torch import nn

import wholeframe as wf
from wholeframe.commands.cost_cheaper import _billions, cheaper
from wholeframe.models.cost import cost


def told(block, at=("second",), batch=1, side=56):
    network = Tiny()
    wf.insert(network, block, at, example=torch.randn(1, *SAMPLE))
    return list(cheaper(cost(network, torch.randn(batch, 3, side, side)), network)), network


def billions(macs):
    return f"{macs / 1e9:,.3g} G"


@pytest.mark.parametrize(("macs", "text"), [(642_345_000_000, "642 G"), (6_423_450_000_000, "6,423 G")])
def test_large_numbers(macs, text):
    assert _billions(macs) == text


def test_a_pooled_a_grouped_and_a_collapsed_block_are_counted():
    (sentence,), network = told(wf.NonLocal)
    grid = (28, 28)
    assert "1 NonLocal block (second) takes" in sentence and "on 28 x 28 positions" in sentence
    assert f"takes {billions(network.second.wholeframe.multiply_adds(grid))} multiply-adds" in sentence
    pooled = wf.NonLocal(8, pool=4).multiply_adds(grid)
    assert f"pooled keys (`pool=4`) would take {billions(pooled)}" in sentence
    assert f"groups of channels (`CGNL`, 4 groups) {billions(wf.CGNL(8).multiply_adds(grid))}" in sentence
    assert sentence.endswith(billions(wf.SimplifiedNonLocal(8).multiply_adds(grid)))


def test_the_window_is_the_smallest_that_is_enough():
    (sentence,), network = told(wf.NonLocal)
    rest = cost(wf_removed(network), torch.randn(1, 3, 56, 56)).macs
    assert f"more than the network without its blocks ({billions(rest)})" in sentence
    assert wf.NonLocal(8, pool=4).multiply_adds((28, 28)) <= rest < wf.NonLocal(8, pool=2).multiply_adds((28, 28))


def wf_removed(network):
    wf.remove(network)
    return network


def test_the_numbers_are_those_of_the_batch():
    (one,), _ = told(wf.NonLocal)
    (two,), network = told(wf.NonLocal, batch=2)
    assert billions(2 * network.second.wholeframe.multiply_adds((28, 28))) in two and one != two


def test_equal_blocks_share_a_sentence():
    (sentence,), _ = told(wf.NonLocal, at=("first", "second"))
    assert sentence.startswith("2 NonLocal blocks (first, second) take, each, ")


def test_keys_over_time_are_not_pooled():
    class Clips(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv3d(3, 8, 1)
            self.second = nn.Conv3d(8, 8, 1)

        def forward(self, x):
            return self.second(self.first(x))

    network, clip = Clips(), torch.randn(1, 3, 4, 12, 12)
    wf.insert(network, partial(wf.NonLocal, attend_over="time"), "first", example=clip)
    (sentence,) = cheaper(cost(network, clip), network)
    assert "pool" not in sentence and "CGNL" in sentence


@pytest.mark.parametrize(("block", "side"), [(wf.NonLocal, 12), (partial(wf.GlobalContext, ratio=1 / 2), 48)])
def test_a_block_within_reach_needs_no_sentence(block, side):
    assert told(block, side=side)[0] == []


def test_a_network_that_is_a_block_alone_has_no_rest():
    block = wf.NonLocal(8)
    assert list(cheaper(cost(block, torch.randn(1, 8, 48, 48)), block)) == []
