"""Frozen affine: what a batch norm is in evaluation, and a norm of `NonLocal` that is not trained."""

import copy

import pytest
import torch
from rounding import agree, moved
from torch import nn

from wholeframe.blocks import Affine, NonLocal


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def measured(norm):
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(tensor)
    nn.init.uniform_(norm.running_var, 0.1, 2)
    return norm


@pytest.mark.parametrize(
    ("kind", "grid"), [(nn.BatchNorm1d, (5,)), (nn.BatchNorm2d, (5, 4)), (nn.BatchNorm3d, (2, 5, 4))]
)
def test_a_folded_norm_is_that_norm_in_evaluation(kind, grid):
    norm, x = measured(kind(8, eps=1e-2)).double().eval(), torch.randn(3, 8, *grid, dtype=torch.float64)
    affine = Affine.folded(norm)
    agree(affine(x), norm(x), terms=4, moved=moved(norm, x))  # scale, shift, root, division
    assert not list(affine.parameters()) and affine.weight.dtype == torch.float64
    norm.weight.data.zero_()
    assert affine.weight.any()


def test_a_frozen_block_is_the_trained_one_in_evaluation():
    trained, x = NonLocal(8, std=0.5, init="random"), torch.randn(2, 8, 5, 4)
    measured(trained.norm)
    frozen, state = NonLocal(8, norm="affine"), trained.state_dict()
    folded = {f"norm.{key}": tensor for key, tensor in Affine.folded(trained.norm).state_dict().items()}
    frozen.load_state_dict({key: t for key, t in state.items() if not key.startswith("norm.")} | folded)
    expected = trained.eval()(x)
    torch.testing.assert_close(frozen.train()(x), expected)
    other = copy.deepcopy(trained)
    other.norm = Affine.folded(other.norm)
    torch.testing.assert_close(other.train()(x), expected)


def test_a_frozen_block_is_born_an_identity_and_learns_all_but_its_norm():
    block, x = NonLocal(8, norm="affine", std=0.5), torch.randn(2, 8, 5, 4)
    assert block.identity_at_init and torch.equal(block(x), x)
    assert set(dict(block.named_buffers())) == {"norm.weight", "norm.bias"}
    block(x).square().sum().backward()
    assert block.out.weight.grad.abs().max() > 1e-3


def test_a_reset_brings_the_scale_back_to_one():
    block = NonLocal(8, norm="affine", init="random")
    block.norm.weight.fill_(3), block.norm.bias.fill_(3)
    block.reset_parameters()
    assert torch.equal(block.norm.weight, torch.ones(8)) and torch.equal(block.norm.bias, torch.zeros(8))


def test_what_cannot_be_folded_is_refused():
    with pytest.raises(ValueError, match="without running statistics has no fixed affine map"):
        Affine.folded(nn.BatchNorm2d(8, track_running_stats=False))
