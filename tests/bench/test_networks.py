"""Whole networks: every row has the ratios of one process, the goals, the floor and where the time goes."""

import dataclasses
import json
import sys

import pytest
import torch
from tiny_networks import ALONE, CASE, PACKAGE
from torch import nn

from wholeframe.bench import networks
from wholeframe.bench.networks import Pass, Setting, measure_network, settings
from wholeframe.bench.sides import build_sides
from wholeframe.bench.timing import Probe, Samples, Timing
from wholeframe.models.turns import KINDS
from wholeframe.surgery.fuse import fuse

CPU = torch.device("cpu")
TURNS = {"ours": (0.012, 0.024, 0.033), "plain": (0.010, 0.020, 0.030), "peer": (0.02, 0.04, 0.06)}


@pytest.fixture(scope="module")
def clock():
    """Replaces the timing by known turns; every candidate runs once. Gives the names of those that ran."""
    ran = []

    def time_in_turns(runs, device, rounds, budget):
        for name, run in runs.items():
            run()
            ran.append(name)
        return Timing({name: Samples(TURNS[name]) for name in runs}, Probe(gemm=100, copy=2.0), rejected=1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "time_in_turns", time_in_turns)
        patch.setitem(sys.modules, "mmcv.cnn", PACKAGE)
        yield ran


@pytest.fixture(scope="module")
def rows(clock):
    """Inference and the training step of the tiny network, and the order in which the candidates ran."""
    del clock[:]
    found = list(measure_network(CASE, build_sides(CASE, CPU), Setting(), rounds=3, budget=0, device=CPU))
    return found, list(clock)


def test_ratios_are_medians_over_the_turns_of_one_process(rows):
    (inference, training), ran = rows
    assert ran == ["ours", "plain", "peer"] * 2
    assert (inference.kind, training.kind) == KINDS
    assert inference.ratio == pytest.approx(1.2) and inference.peer_ratio == pytest.approx(2)
    assert inference.against_peer == pytest.approx(0.6), "the median of ours / peer within a turn, not of medians"
    assert (inference.ours_ms, inference.plain_ms, inference.rejected) == (pytest.approx(24), pytest.approx(20), 1)
    assert inference.difference < 1e-4 and inference.peer == "mmcv"


def test_the_floor_is_what_bytes_and_products_need(rows):
    inference, training = rows[0]
    seconds = max(inference.added_macs / (1e9 * inference.product_gmacs), inference.added_bytes / (2 * 2**30))
    assert inference.floor_ms == pytest.approx(1000 * seconds)
    assert inference.floor == pytest.approx(1 + seconds / 0.020)
    assert inference.over_floor == pytest.approx(0.2 * 0.020 / seconds)
    assert training.added_macs == 3 * inference.added_macs and training.product_gmacs > 0


def test_goals_are_reached_or_not(rows):
    inference, training = rows[0]
    assert (inference.goal, inference.memory_goal) == (1.5, None) and inference.reached == [True, True]
    assert (training.goal, training.memory_goal) == (1e-3, 1e-3) and training.reached == [False, False, True]
    near = dataclasses.replace(training, over_floor=1.1)
    assert near.reached == [True, False, True], "as near to the floor as can be asked for"
    slower = dataclasses.replace(inference, against_peer=1.01)
    assert slower.reached == [True, False]


def test_where_the_time_goes_is_in_every_eager_row(rows):
    for row in rows[0]:
        assert row.by_block.keys() == {"first.bn.wholeframe", "second.wholeframe"}
        for part in ("products", "passes", "python"):
            assert sum(block[part] for block in row.by_block.values()) == pytest.approx(row.blocks[part])
            assert row.rest[part] > 0 and row.blocks[part] > 0
        json.dumps(dataclasses.asdict(row))


def test_memory_is_a_ratio_to_the_plain_backbone(rows):
    for row in rows[0]:
        assert row.memory_ratio == pytest.approx(row.ours_mib / row.plain_mib) and row.peer_memory_ratio > 0
        assert row.ours_mib > 0


def test_settings_reach_the_networks(clock, monkeypatch):
    before, threads, seen = torch.get_num_threads(), [], []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    sides = build_sides(ALONE, CPU)
    sides.ours.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    setting = Setting(batch=3, layout="channels_last", threads=before + 1)
    for row in measure_network(ALONE, sides, setting, rounds=3, budget=0, device=CPU):
        assert (row.batch, row.layout, row.mode, row.threads) == (3, "channels_last", "eager", before + 1)
    assert threads == [before + 1, before] and seen[-1].shape == (3, 3, 12, 12)
    for tensor in (seen[-1], sides.plain.first.conv.weight):
        assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_a_clip_has_its_own_order_of_axes():
    assert networks._order("channels_last", 5) is torch.channels_last_3d
    assert networks._order("channels_last", 4) is torch.channels_last
    assert networks._order("contiguous", 5) is torch.contiguous_format


def test_every_combination_of_settings():
    every = settings((1, 16), ("contiguous", "channels_last"), ("eager", "compiled"), (1, 2))
    assert len(set(every)) == 16 and every[1] == Setting(1, "contiguous", "eager", 2)


def test_a_training_step_trains_and_inference_does_not():
    network = build_sides(ALONE, CPU).plain
    before = {key: value.clone() for key, value in network.state_dict().items()}
    x = torch.randn(2, 3, 12, 12)
    Pass("inference", network, x).run()
    assert not network.training and all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    step = Pass("training step", network, x)
    step.run()
    assert network.training and not torch.equal(before["fc.bias"], network.fc.bias)
    assert network.fc.bias.grad is not None
    step.forget()
    assert network.fc.bias.grad is None


def test_multiply_adds_of_a_pass():
    network, x = build_sides(ALONE, CPU).plain, torch.randn(2, 3, 12, 12)
    convolutions = 2 * 36 * 9 * 8
    inference = convolutions * (3 + 8 + 8) + 2 * 8 * 5
    assert networks._macs(Pass("inference", network, x)) == inference
    # The image needs no gradient, so the first convolution has two products and all others have three.
    assert networks._macs(Pass("training step", network, x)) == 3 * inference - 3 * convolutions


def test_a_compiled_network_runs_and_has_no_profile_of_its_own(clock, monkeypatch):
    made = []

    def compiled(module):
        made.append(module)
        return nn.Sequential(module)

    monkeypatch.setattr(networks, "compiled", compiled)
    sides = build_sides(ALONE, CPU)
    for row in measure_network(ALONE, sides, Setting(mode="compiled"), rounds=3, budget=0, device=CPU):
        assert row.mode == "compiled" and row.blocks is row.rest is row.by_block is None and row.product_gmacs > 0
        assert row.peer is row.peer_ratio is row.against_peer is row.difference is None
    assert made == [sides.ours, sides.plain] * 2, "one for each side and pass"


def test_fused_networks_run_in_inference_alone(clock, monkeypatch):
    made = []

    def fused(network, example):
        made.append(network)
        return fuse(network, example)

    monkeypatch.setattr(networks, "fuse", fused)
    case = dataclasses.replace(CASE, limits=dataclasses.replace(CASE.limits, fused=1.02))
    sides = build_sides(case, CPU)
    (row,) = measure_network(case, sides, Setting(mode="fused"), rounds=3, budget=0, device=CPU)
    assert (row.kind, row.goal, row.memory_goal, row.by_block) == ("inference", 1.02, None, None)
    assert made == list(sides.networks.values()), "the plain backbone and the peer are fused too"


@pytest.mark.slow
def test_compiled_is_by_torch_and_computes_the_same():
    network, x = build_sides(ALONE, CPU).ours.eval(), torch.randn(2, 3, 12, 12)
    with torch.no_grad():
        torch.testing.assert_close(networks.compiled(network)(x), network(x), rtol=1e-4, atol=1e-4)
