"""The operation with its linear maps; `tests/laws` compares every way of merging them with the dense one."""

import pytest
import torch
from torch.autograd import gradgradcheck
from torch.utils.flop_counter import FlopCounterMode

from wholeframe import ops
from wholeframe.blocks import NonLocal


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(2, 8, 5, 4, dtype=torch.float64)


def alive(**options):
    torch.manual_seed(0)
    block = NonLocal(8, init="random", **options).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return block


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", ops.KINDS)
@pytest.mark.parametrize(("pool", "order"), [(1, "after"), (2, "after"), (2, "before")])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_pairwise_operation_between_linear_maps(x, kind, pool, order, bias):
    block = alive(kind=kind, pool=pool, pool_order=order, norm=None, bias=bias, out_bias=bias)
    theta, phi, value = block.project(x)
    w_f = {} if block.w_f is None else {"w_f": block.w_f.weight[0]}
    z = block.out(ops.pairwise_weights(theta, phi, kind, **w_f) @ value).mT.unflatten(2, x.shape[2:])
    asymmetric = {"symmetric", "gram"} if pool > 1 and (kind == "gaussian" or order == "after") else set()
    for backend in {"auto", *ops.backend_names(kind)} - asymmetric:
        arguments = x, block.layers(), kind, block.keys
        close(ops.non_local_block(*arguments, residual=False, backend=backend), z)
        close(ops.non_local_block(*arguments, backend=backend), x + z)


def test_the_layout_of_a_map_is_kept(x):
    for kind in ops.KINDS:
        block = alive(kind=kind, norm=None)
        turned = x.to(memory_format=torch.channels_last)
        assert block(x).is_contiguous()
        assert block(turned).is_contiguous(memory_format=torch.channels_last)
        close(block(turned), block(x))


def test_a_batch_norm_that_evaluates_is_part_of_the_last_map(x):
    for out_bias in (True, False):
        block = alive(out_bias=out_bias).eval()
        block.norm.running_mean.normal_()
        block.norm.running_var.uniform_(0.5, 2)
        z = block.out(ops.non_local_operation(*block.project(x), "embedded_gaussian")).mT
        close(block(x), x + block.norm(z).unflatten(2, x.shape[2:]))


def test_a_frozen_norm_is_part_of_the_last_map(x):
    block = alive(norm="affine")
    block.norm.weight.normal_()
    block.norm.bias.normal_()
    z = block.out(ops.non_local_operation(*block.project(x), "embedded_gaussian")).mT
    close(block(x), x + block.norm(z).unflatten(2, x.shape[2:]))


def test_a_batch_norm_that_trains_is_not(x):
    block = alive()
    before = block.norm.running_mean.clone()
    z = block.out(ops.non_local_operation(*block.project(x), "embedded_gaussian")).mT
    y = block(x)
    assert not torch.equal(block.norm.running_mean, before)
    mean, var = z.mean(dim=(0, 2))[:, None], z.var(dim=(0, 2), correction=0)[:, None]
    normed = (z - mean) / (var + block.norm.eps).sqrt() * block.norm.weight[:, None] + block.norm.bias[:, None]
    torch.testing.assert_close(y, x + normed.unflatten(2, x.shape[2:]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["associative", "gram"])
def test_second_derivatives_of_dot(x, backend):
    block = alive(kind="dot", norm=None, backend=backend)
    names = [name for name, _ in block.named_parameters()]

    def function(x, *parameters):
        return torch.func.functional_call(block, dict(zip(names, parameters, strict=True)), (x,))

    inputs = [tensor.detach().clone().requires_grad_() for tensor in (x[:, :, :2, :2], *block.parameters())]
    assert gradgradcheck(function, inputs, fast_mode=True)


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # fused attention runs once for every block
@pytest.mark.parametrize("kind", ops.KINDS)
def test_vmap(x, kind):
    """Over blocks of one architecture, as an ensemble is run, and with the gradients of each."""
    blocks = [alive(kind=kind, norm=None) for _ in range(3)]
    for i, block in enumerate(blocks):
        block.g.weight.data += i
    parameters, _ = torch.func.stack_module_state(blocks)

    def loss(parameters, x):
        return torch.func.functional_call(blocks[0], parameters, (x,)).square().sum()

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(0, None))(parameters, x)
    for i, block in enumerate(blocks):
        block(x).square().sum().backward()
        for name, parameter in block.named_parameters():
            torch.testing.assert_close(gradients[name][i], parameter.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("backend", ops.backend_names("dot"))
def test_multiply_adds_of_every_order_of_dot(x, backend, pool, order):
    if backend == "gram" and (pool, order) == (2, "after"):
        pytest.skip("the gram matrix refuses keys that are pooled after phi and g")
    block = alive(kind="dot", backend=backend, pool=pool, pool_order=order).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        block(x[:1])
    assert block.multiply_adds((5, 4), backend) == counter.get_total_flops() // 2


def test_halves_take_no_gram_matrix(x):
    block = alive(kind="dot", backend="gram")
    with torch.autocast("cpu"), pytest.raises(ValueError, match=r"digits of float32; take backend='associative'"):
        block.float()(x.float())


@pytest.mark.parametrize("pool", [1, 2])
def test_gram_keeps_the_digits_where_biases_cancel_the_mean(pool):
    """In float32, products with x itself would cancel: their terms are 10^4 times larger than what they sum to.

    The definition averages the errors of its keys, 6 of them with a pool of 2, and `gram` errs once, in their mean: up
    to 6^0.5 times as much. One draw shows any ratio around that, so the squares of ten are added.
    """
    squares = {"dense": 0.0, "gram": 0.0}
    for seed in range(10):
        block = alive(kind="dot", norm=None, pool=pool, pool_order="before")
        torch.manual_seed(seed)
        x = torch.randn(2, 8, 6, 4, dtype=torch.float64) + 100
        with torch.no_grad():
            for layer in (block.theta, block.phi, block.g):
                torch.nn.init.normal_(layer.weight, std=0.5)
                layer.bias.copy_(-100 * layer.weight.sum(dim=1))
            exact = ops.non_local_block(x, block.layers(), "dot", block.keys, residual=False, backend="dense")
            layers = block.float().layers()
            for name in squares:
                y = ops.non_local_block(x.float(), layers, "dot", block.keys, residual=False, backend=name)
                squares[name] += (y - exact).square().sum().item()
    assert squares["gram"] <= 6 * squares["dense"]
