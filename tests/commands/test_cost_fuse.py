"""`wholeframe cost MODEL --fuse`: what folds, what is left and why, and the time of both networks in turns."""

import re

import pytest
import torch
from fused_nets import SmallResNet
from torch import nn

import wholeframe as wf
from wholeframe.commands import cost
from wholeframe.commands.cost_fuse import measure_fused


def test_the_network_with_blocks_is_compared_with_the_fused_ones(capsys):
    network = SmallResNet()
    wf.insert(network, wf.GlobalContext, at="layer*.0.bn3", example=torch.randn(1, 3, 16, 16))
    measure_fused(network, torch.randn(2, 3, 16, 16), "it")
    first, times, blocks, how = capsys.readouterr().out.splitlines()
    assert first.startswith("7 norms folded, 0 left, 2 blocks merged; the outputs differ by ")
    assert re.fullmatch(r"inference of it: [\d.]+ ms, fused [\d.]+ ms: [\d.]+ \([\d.]+ to [\d.]+\) of the time", times)
    assert blocks.startswith("2 GlobalContext blocks, fused: ")
    assert how.startswith(f"a batch of 2, cpu, {torch.get_num_threads()} thread")


def test_norms_that_are_left_have_one_line_for_each_reason(capsys):
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), *(nn.BatchNorm2d(4) for _ in range(7)))
    measure_fused(network, torch.randn(2, 3, 8, 8), "it")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("0 norms folded, 7 left, 0 blocks merged")
    assert lines[1].startswith("  left: 2: its input is not what one layer returns")
    assert lines[2].startswith("  left: 3: it follows another norm, '2', which stays")


def test_a_network_without_other_norms(capsys):
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU())
    wf.insert(network, wf.NonLocal, at="1", example=torch.randn(1, 3, 8, 8))
    measure_fused(network, torch.randn(2, 3, 8, 8), "it")
    assert capsys.readouterr().out.startswith("1 norm folded, 0 left, 1 block merged")


@pytest.mark.slow
def test_the_option(capsys):
    cost.main(["torchvision/mobilenet_v3_small", "--input", "3", "32", "32", "--fuse"])
    assert "34 norms folded, 0 left, 0 blocks merged" in capsys.readouterr().out
