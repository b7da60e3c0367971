"""Learning rates and weight decay, parameter by parameter."""

import pytest
import torch

from wholeframe.models.build import ModelConfig, build
from wholeframe.train.optim import parameter_groups, roles
from wholeframe.train.recipe import Schedule

SCHEDULE = Schedule(lr=0.01, block_lr=5.0, weight_decay=0.1)


@pytest.fixture
def network():
    return build(ModelConfig(backbone="small", block="nl"), 3, torch.zeros(1, 3, 16, 16))


@pytest.fixture
def options(network):
    """The options of every parameter's group, by the parameter's name."""
    groups = parameter_groups(network, SCHEDULE, roles(network))
    of = {parameter: group for group in groups for parameter in group["params"]}
    return {name: of[parameter] for name, parameter in network.named_parameters()}


def test_every_parameter_is_in_exactly_one_group(network):
    listed = [
        parameter for group in parameter_groups(network, SCHEDULE, roles(network)) for parameter in group["params"]
    ]
    assert len(listed) == len(set(listed)) and set(listed) == set(network.parameters())


def test_vectors_do_not_decay(network, options):
    for name, parameter in network.named_parameters():
        assert options[name]["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0), name
    assert options["stage3.0.weight"]["weight_decay"] and not options["stage3.1.weight"]["weight_decay"]


def test_new_blocks_have_their_own_rate(network, options):
    new = {name for name in options if "wholeframe" in name.split(".")}
    assert new and new != set(options)
    for name, group in options.items():
        assert group["lr"] == pytest.approx(0.05 if name in new else 0.01), name


def test_a_name_that_only_contains_the_word_is_not_ours():
    network = torch.nn.ModuleDict({"my_wholeframe_net": torch.nn.Linear(2, 2)})
    assert {group["lr"] for group in parameter_groups(network, SCHEDULE, roles(network))} == {0.01}


def test_the_optimizer_takes_them(network):
    optimizer = torch.optim.AdamW(parameter_groups(network, SCHEDULE, roles(network)))
    assert sorted((group["lr"], group["weight_decay"]) for group in optimizer.param_groups) == [
        (0.01, 0.0),
        (0.01, 0.1),
        (0.05, 0.0),
        (0.05, 0.1),
    ]
