"""The profile gives every operation of a pass to the block that caused it, in the backward pass too."""

from functools import partial

import pytest
import torch
from torch import nn

import wholeframe as wf
from wholeframe.bench.profile_by_block import Where, part, profile_by_block

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("aten::mm", "products"),
        ("aten::addmm", "products"),
        ("aten::baddbmm", "products"),
        ("aten::mkldnn_convolution", "products"),
        ("aten::convolution_backward", "products"),
        ("aten::cudnn_convolution", "products"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", "products"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu_backward", "products"),
        ("aten::_efficient_attention_forward", "products"),
        ("aten::add_", "passes"),
        ("aten::copy_", "passes"),
        ("aten::_softmax", "passes"),
        ("aten::native_batch_norm", "passes"),
        ("aten::max_pool2d_with_indices", "passes"),
        ("aten::view", "python"),
        ("aten::empty_like", "python"),
        ("aten::transpose", "python"),
        ("aten::matmul", "python"),
        ("autograd::engine::evaluate_function: MmBackward0", "python"),
        ("MmBackward0", "python"),
        ("torch::autograd::AccumulateGrad", "python"),
        ("Optimizer.step#SGD.step", "python"),
    ],
)
def test_the_part_of_an_operation_is_in_its_name(name, expected):
    assert part(name) == expected


class OneProduct(nn.Module):
    """x + 1 W: a block with one matrix product, and a convolution network around it has none."""

    identity_at_init = False
    has_attention = False

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, channels))

    def forward(self, x):
        return (self.weight @ x.flatten(2)).reshape(x.shape)

    def attention(self, x, query):
        raise ValueError("none")

    def multiply_adds(self, grid):
        return 1

    def reset_parameters(self):
        pass


def network():
    """No product outside of the blocks: only passes over memory."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm2d(16), nn.ReLU(), nn.BatchNorm2d(16), nn.Tanh())
    wf.insert(net, OneProduct, at=["1", "2"], example=torch.randn(1, 16, 8, 8))
    return net


def test_a_block_has_its_products_in_both_passes():
    net, x = network(), torch.randn(4, 16, 32, 32, requires_grad=True)
    forward = profile_by_block(lambda: net(x), net, CPU)
    both = profile_by_block(lambda: net(x).sum().backward(), net, CPU)
    assert set(forward) == set(both) == {"", "1.wholeframe", "2.wholeframe"}
    for shares in (forward, both):
        assert shares[""].products == 0 < shares[""].passes
        assert all(shares[f"{site}.wholeframe"].products > 0 for site in "12")


def test_the_backward_pass_belongs_to_the_block_that_made_it():
    """A block whose forward pass has no product, and whose backward pass has two."""

    class Late(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            return gradient + (x.flatten(2) @ x.flatten(2).mT).sum()

    class Block(OneProduct):
        def forward(self, x):
            return Late.apply(x) + self.weight.sum()

    net = nn.Sequential(nn.BatchNorm2d(16), nn.ReLU(), nn.Tanh())
    wf.insert(net, Block, at="1", example=torch.randn(1, 16, 8, 8))
    x = torch.randn(2, 16, 8, 8)
    assert profile_by_block(lambda: net(x), net, CPU)["1.wholeframe"].products == 0
    shares = profile_by_block(lambda: net(x).sum().backward(), net, CPU)
    assert shares["1.wholeframe"].products > 0 == shares[""].products


def test_a_block_that_runs_without_gradients_at_its_end_takes_no_node_of_its_neighbour():
    """The last operation makes no node, so it carries the number of the convolution that follows."""

    class Detached(OneProduct):
        def forward(self, x):
            y = x * self.weight.sum()
            x.detach().sum()
            return y

    net = nn.Sequential(nn.ReLU(), nn.Conv2d(16, 16, 3))
    wf.insert(net, Detached, at="0", example=torch.randn(1, 16, 8, 8))
    x = torch.randn(1, 16, 8, 8)
    shares = profile_by_block(lambda: net(x).sum().backward(), net, CPU)
    assert shares["0.wholeframe"].products == 0 < shares[""].products


def test_hooks_are_gone_afterwards_and_shares_add_up():
    net = network()
    profile_by_block(partial(net, torch.randn(1, 16, 4, 4)), net, CPU)
    assert not net[1].wholeframe._forward_pre_hooks and not net[1].wholeframe._forward_hooks
    assert Where(1, 2, 3).plus(Where(1, 1, 1)) == Where(2, 3, 4) and Where(1, 2, 3).total == 6
