"""A fresh block is an identity, declares it, and can be reset to it."""

from functools import partial

import pytest
import torch
from torch import nn

from wholeframe.blocks import BLOCKS, GlobalContext, SimplifiedNonLocal, SqueezeExcite, reset_blocks
from wholeframe.blocks.others.cbam import SpatialGate

# The published gates are about one half in a fresh block, this one is one. GSoP's position block also has a ReLU.
IDENTITY = {
    **{name: {"gate": "twice_sigmoid", "init": "identity"} for name in ("se", "ese", "eca")},
    "gsop_channel": {"gate": "twice_sigmoid", "init": "identity"},
    "gsop_position": {"gate": "twice_sigmoid", "init": "identity", "out_act": None},
}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_fresh_block_returns_its_input(build, name, x, training):
    block = build(**IDENTITY.get(name, {})).train(training)
    assert block.identity_at_init
    assert torch.equal(block(x.float()), x.float())


def test_only_gates_as_published_change_their_input_at_first(build, name, x):
    block = build()
    assert block.identity_at_init == (name not in IDENTITY)
    assert torch.equal(block(x.float()), x.float()) == (name not in IDENTITY)


def test_a_random_init_changes_the_input(build, x):
    block = build(init="random")
    assert not block.identity_at_init
    assert not torch.allclose(block(x.float()), x.float())


def test_a_gate_of_zero_halves_exactly(x):
    for block in (GlobalContext(8, ratio=1 / 2, fusion="multiply"), SqueezeExcite(8, ratio=1 / 2, init="zero")):
        assert not block.identity_at_init
        assert torch.equal(block(x.float()), x.float() / 2)


@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid"])
def test_an_identity_is_refused_where_a_gate_would_halve_the_map(gate):
    reason = f"init='identity' is not possible: gate='{gate}' is 1/2 at zero and would halve the map; take gate="
    for make in (
        lambda **options: GlobalContext(8, ratio=1 / 2, fusion="multiply", **options),
        lambda **options: GlobalContext(8, ratio=1 / 2, fusion="multiply_add", **options),
        *(partial(BLOCKS[name].make, 8) for name in ("ese", "eca")),
        lambda **options: BLOCKS["gsop_channel"].make(8, inner=4, **options),
        lambda **options: BLOCKS["gsop_position"].make(8, inner=4, size=(2, 2), out_act=None, **options),
        lambda **options: SpatialGate(**options),
    ):
        with pytest.raises(ValueError, match=reason):
            make(gate=gate, init="identity")
        assert not getattr(make(gate=gate, init="zero"), "identity_at_init", False)


def test_an_identity_is_refused_where_a_relu_follows():
    with pytest.raises(ValueError, match="out_act='relu' sets negative numbers to zero; take out_act=None"):
        BLOCKS["gsop_position"].make(8, size=(2, 2), gate="twice_sigmoid", init="identity")


def test_zero_is_the_identity_of_blocks_that_add(x):
    for make in (partial(GlobalContext, ratio=1 / 2), SimplifiedNonLocal):
        for init in ("zero", "identity"):
            block = make(8, init=init)
            assert block.identity_at_init and torch.equal(block(x.float()), x.float())


def test_an_identity_can_still_learn(build, name, x):
    """Zeros in the last layer alone: the loss has a gradient there in the first step."""
    block = build(**IDENTITY.get(name, {}))
    block(x.float()).square().sum().backward()
    assert any(parameter.grad.abs().max() > 1e-3 for parameter in block.parameters() if parameter.grad is not None)


def test_a_network_that_reinitialises_its_convolutions_leaves_the_initial_state_alone(build, name):
    """GCNet's model-wide `kaiming_init(fan_out)` of every Conv2d made its own blocks one-hot and non-zero."""
    block = build(**IDENTITY.get(name, {}))
    before = {key: tensor.clone() for key, tensor in block.state_dict().items()}
    network = nn.Sequential(nn.Conv2d(3, 8, 3), block, nn.Conv2d(8, 8, 3))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    assert all(torch.equal(tensor, before[key]) for key, tensor in block.state_dict().items())
    h = network[0](torch.randn(2, 3, 7, 8))
    assert torch.equal(block(h), h)


def test_reset_blocks_undoes_an_initialisation_of_everything(build, name):
    block = build(**IDENTITY.get(name, {}))
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(block))
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.BatchNorm1d | nn.LayerNorm | nn.GroupNorm):
            nn.init.normal_(module.weight, std=0.5)
    before = network[0].weight.clone()
    h = network[0](torch.randn(2, 3, 7, 8))
    assert not torch.allclose(block(h), h, atol=1e-3)
    assert reset_blocks(network) == ["1.0"]
    assert torch.equal(block(h), h)
    assert torch.equal(network[0].weight, before)


def test_a_reset_forgets_the_running_statistics_too(build, x):
    block = build()
    before = {key: tensor.clone() for key, tensor in block.state_dict().items() if "running" in key or "num_" in key}
    block(x.float())
    reset_blocks(block)
    assert all(torch.equal(block.state_dict()[key], tensor) for key, tensor in before.items())


def test_reset_blocks_refuses_a_model_without_blocks():
    with pytest.raises(ValueError, match="Sequential has no wholeframe block to reset; insert one first"):
        reset_blocks(nn.Sequential(nn.Conv2d(3, 8, 3)))
