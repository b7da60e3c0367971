"""Parameters, multiply-adds and time of whole networks."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import wholeframe as wf
from wholeframe.models.build import ModelConfig, build
from wholeframe.models.cost import cost, count, inference_ms, measure_passes


@pytest.fixture
def network():
    """A strided convolution, a frozen norm, a linear layer: 8 x 8 to 4 x 4."""
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 5)
    ).train()
    network[1].eval()
    return network


def test_by_hand(network):
    found = cost(network, torch.zeros(1, 3, 8, 8))
    assert found.params == 4 * 3 * 9 + 2 * 4 + (64 * 5 + 5)
    assert found.macs == 4 * 3 * 9 * 16 + 64 * 5


@pytest.mark.parametrize("name", ["nl", "nl_gaussian", "nl_dot", "gc", "cgnl_taylor", "gsop_position"])
def test_a_block_adds_its_definition(name):
    """However it runs: the law of multiply-adds compares definitions with counters."""
    example = torch.zeros(2, 3, 32, 32)
    bare, full = (build(ModelConfig(backbone="small_dense", block=block), 2, example) for block in (None, name))
    block = full.stage3[-1].wholeframe
    assert cost(full, example).macs - cost(bare, example).macs == 2 * block.multiply_adds((16, 16))


def test_a_block_inside_a_block_counts_once():
    fused = wf.GSoP(64, position=partial(wf.GSoPPosition, size=(4, 4)))
    assert cost(fused, torch.randn(1, 64, 8, 8)).macs == fused.multiply_adds((8, 8))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kind", ["gaussian", "embedded_gaussian", "dot"])
def test_the_count_does_not_depend_on_dtype(kind, dtype):
    network = wf.NonLocal(16, kind=kind).to(dtype)
    assert cost(network, torch.randn(1, 16, 12, 12, dtype=dtype)).macs == network.multiply_adds((12, 12))


@pytest.mark.parametrize("measure", [cost, inference_ms])
def test_nothing_in_the_network_changes(network, measure):
    network[3].eval()
    flags = [module.training for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    measure(network, torch.randn(2, 3, 8, 8))
    assert [module.training for module in network.modules()] == flags == [True, True, False, True, False]
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_time_is_a_median(network, monkeypatch):
    assert inference_ms(network, torch.zeros(1, 3, 8, 8), repeats=3) > 0
    # Three slow passes to warm up, which are not counted; then 1, 100 and 2 ms.
    clock = iter([t for length in (9.0, 9.0, 9.0, 0.001, 0.1, 0.002) for t in (0.0, length)])
    monkeypatch.setattr("wholeframe.models.measure.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert inference_ms(network, torch.zeros(1, 3, 8, 8), repeats=3) == pytest.approx(2)


def test_counting_without_values_is_counting():
    example = torch.zeros(1, 3, 32, 32)
    for block in ("nl", "gc", "cgnl", "gsop_channel"):
        model = ModelConfig(backbone="small_dense", block=block)
        assert count(lambda model=model: build(model, 2, torch.zeros(1, 3, 32, 32)), (3, 32, 32)) == cost(
            build(model, 2, example), example
        )


def test_measured_memory_is_that_of_the_maps():
    """One map of 4 MiB at a time without gradients; with them the first two are kept for the backward pass."""
    network = nn.Sequential(*(nn.Conv2d(1, 1, 1, bias=False) for _ in range(3)))
    passes = measure_passes(network, torch.randn(1, 1, 1024, 1024), repeats=1)
    assert list(passes) == ["forward", "forward and backward"]
    assert 8 <= passes["forward"].mib < 12 < passes["forward and backward"].mib
    assert all(run.ms > 0 for run in passes.values())
    assert network.training and all(parameter.grad is not None for parameter in network.parameters())
