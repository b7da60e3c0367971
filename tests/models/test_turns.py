"""Networks in turns: their order, medians with what encloses them, time and memory."""

import itertools
import random

import pytest
import torch
from torch import nn

from wholeframe.models.turns import KINDS, Measured, in_turns, interval, ratio


def test_the_order_is_turned_round_in_every_second_turn():
    ran = []
    networks = {name: nn.Linear(2, 2) for name in "ab"}
    for name, network in networks.items():
        network.register_forward_hook(lambda module, *_, name=name: ran.append((name, module.training)))
    found = in_turns(networks, torch.randn(3, 2), turns=3)
    # Warm up; three turns; memory.
    order = "ab" + "ab" + "ba" + "ab" + "ab"
    assert ran == [(name, training) for training in (False, True) for name in order]
    assert list(found) == ["a", "b"] and all(tuple(passes) == KINDS for passes in found.values())
    assert all(len(each.ms) == 3 and min(each.ms) > 0 for passes in found.values() for each in passes.values())
    assert all(network.weight.grad is not None for network in networks.values())


def test_measured_memory_is_that_of_the_maps():
    """One map of 4 MiB at a time without gradients; with them the first two are kept for the backward pass."""
    network = nn.Sequential(*(nn.Conv2d(1, 1, 1, bias=False) for _ in range(3)))
    passes = in_turns({"it": network}, torch.randn(1, 1, 1024, 1024), turns=1)["it"]
    assert 8 <= passes["inference"].mib < 12 < passes["training step"].mib
    assert network.training and all(parameter.grad is not None for parameter in network.parameters())


def test_outputs_of_any_form_train():
    class Several(nn.Linear):
        def forward(self, x):
            y = super().forward(x)
            return {"half": (y.half(), y.argmax()), "y": y.detach(), "none": None}

    network = Several(2, 2)
    in_turns({"it": network}, torch.randn(3, 2), turns=1)
    assert network.weight.grad is not None and network.weight.grad.any()


def test_a_network_that_does_not_train():
    with pytest.raises(ValueError, match="has no training step"):
        in_turns({"it": nn.ReLU()}, torch.randn(3, 2), turns=1)


@pytest.mark.parametrize(
    ("n", "low", "high", "probability"),
    [(1, 1, 1, 0), (2, 1, 2, 0.5), (5, 1, 5, 1 - 2 / 32), (6, 1, 6, 1 - 2 / 64), (9, 2, 8, 1 - 2 * (1 + 9) / 512)],
)
def test_intervals_by_hand(n, low, high, probability):
    values = [float(value) for value in range(n, 0, -1)]
    found = interval(values)
    assert (found.median, found.low, found.high) == ((n + 1) / 2, low, high)
    assert found.probability == pytest.approx(probability)


def test_every_order_of_ups_and_downs():
    """Among all sides of the median on which 9 values can lie, the interval has it in this share."""
    held = [interval(sides).low <= 0 <= interval(sides).high for sides in itertools.product((-1.0, 1.0), repeat=9)]
    assert sum(held) / len(held) == interval([random.random() for _ in range(9)]).probability


def test_a_fused_network_is_measured_in_inference_alone():
    found = in_turns({"it": nn.Linear(2, 2)}, torch.randn(3, 2), turns=1, kinds=("inference",))
    assert list(found["it"]) == ["inference"]


def test_ratios_are_those_within_a_turn():
    found = ratio(Measured((1.0, 9.0, 4.0), 0), Measured((2.0, 3.0, 4.0), 0))
    assert (found.low, found.median, found.high) == (0.5, 1.0, 3.0)
