"""A fresh block is an identity, says so, and can be brought back to it."""

import pytest
import torch
from torch import nn

from wholeframe.blocks import GlobalContext, SqueezeExcite, reset_blocks

# The published gates are about one half at initialisation; this one is one. GSoP's position block ends with a ReLU besides.
IDENTITY = {
    **{name: {"gate": "twice_sigmoid", "init": "zero"} for name in ("se", "ese", "eca")},
    "gsop_channel": {"gate": "twice_sigmoid", "init": "zero"},
    "gsop_position": {"gate": "twice_sigmoid", "init": "zero", "out_act": None},
}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_fresh_block_returns_its_input(build, name, x, training):
    block = build(**IDENTITY.get(name, {})).train(training)
    assert block.identity_at_init
    assert torch.equal(block(x.float()), x.float())


def test_only_gates_as_published_change_their_input_at_birth(build, name, x):
    block = build()
    assert block.identity_at_init == (name not in IDENTITY)
    assert torch.equal(block(x.float()), x.float()) == (name not in IDENTITY)


def test_a_random_birth_changes_the_input(build, x):
    block = build(init="random")
    assert not block.identity_at_init
    assert not torch.allclose(block(x.float()), x.float())


def test_a_multiplying_zero_birth_halves_exactly(x):
    for block in (GlobalContext(8, ratio=1 / 2, fusion="multiply"), SqueezeExcite(8, ratio=1 / 2, init="zero")):
        assert not block.identity_at_init
        assert torch.equal(block(x.float()), x.float() / 2)


def test_an_identity_can_still_learn(build, name, x):
    """Zeros in the last layer alone: the loss has a gradient there in the first step."""
    block = build(**IDENTITY.get(name, {}))
    block(x.float()).square().sum().backward()
    assert any(parameter.grad.abs().max() > 1e-3 for parameter in block.parameters() if parameter.grad is not None)


def test_a_host_that_reinitialises_its_convolutions_leaves_the_birth_alone(build, name):
    """GCNet's model-wide `kaiming_init(fan_out)` of every Conv2d made its own blocks one-hot and non-zero."""
    block = build(**IDENTITY.get(name, {}))
    init_conv = {key: tensor.clone() for key, tensor in block.state_dict().items()}
    host = nn.Sequential(nn.Conv2d(3, 8, 3), block, nn.Conv2d(8, 8, 3))
    for module in host.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    assert all(torch.equal(tensor, init_conv[key]) for key, tensor in block.state_dict().items())
    h = host[0](torch.randn(2, 3, 7, 8))
    assert torch.equal(block(h), h)


def test_reset_blocks_undoes_an_initialisation_of_everything(build, name):
    block = build(**IDENTITY.get(name, {}))
    host = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(block))
    for module in host.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.BatchNorm1d | nn.LayerNorm | nn.GroupNorm):
            nn.init.normal_(module.weight, std=0.5)
    before = host[0].weight.clone()
    h = host[0](torch.randn(2, 3, 7, 8))
    assert not torch.allclose(block(h), h, atol=1e-3)
    assert reset_blocks(host) == ["1.0"]
    assert torch.equal(block(h), h)
    assert torch.equal(host[0].weight, before)


def test_a_reset_forgets_the_running_statistics_too(build, x):
    block = build()
    init_conv = {key: tensor.clone() for key, tensor in block.state_dict().items() if "running" in key or "num_" in key}
    block(x.float())
    reset_blocks(block)
    assert all(torch.equal(block.state_dict()[key], tensor) for key, tensor in init_conv.items())


def test_reset_blocks_refuses_a_model_without_blocks():
    with pytest.raises(ValueError, match="Sequential has no wholeframe block to reset; insert one first"):
        reset_blocks(nn.Sequential(nn.Conv2d(3, 8, 3)))
