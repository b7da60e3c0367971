"""Max pooling of keys: torch's definition in numbers and in every derivative, also where cells tie."""

import math

import pytest
import torch
import torch.nn.functional as F
from new_maps import new_maps

from wholeframe import ops
from wholeframe.ops.pooling import pool_positions

SHAPES = [
    ((7,), 3),
    ((6, 4), 2),
    ((7, 5), (2, 3)),
    ((5, 4), (1, 4)),
    ((2, 6, 5), 2),
    ((3, 4, 6), (1, 2, 3)),
    ((4, 5, 6), (2, 2, 2)),
    ((3, 2, 2), (3, 1, 1)),
]


def definition(x, pool):
    window = ops.pool_window(pool, x.ndim - 2)
    return {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[len(window)](x, window)


def by_position(x, pool):
    y = ops.to_positions(x)
    pooled = [size // width for size, width in zip(x.shape[2:], ops.pool_window(pool, x.ndim - 2), strict=True)]
    return ops.to_grid(pool_positions(x.shape[2:], pool, y)[0], pooled)


def a_map(grid, samples=2):
    """Many cells of a window are equal, as after a ReLU."""
    torch.manual_seed(0)
    return torch.randint(0, 3, (samples, 4, *grid)).double()


def assert_same(pooled, x, pool, dy):
    """Values and gradient, and the gradient of the gradient with respect to dy."""
    expected = definition(x, pool)
    assert torch.equal(pooled, expected)
    found, wanted = (torch.autograd.grad(z, x, dy, create_graph=True)[0] for z in (pooled, expected))
    assert torch.equal(found, wanted)
    weights = torch.rand_like(x)
    twice, expected_twice = (torch.autograd.grad((d * weights).sum(), dy)[0] for d in (found, wanted))
    assert torch.equal(twice, expected_twice)


@pytest.mark.parametrize("pooling", [ops.pool_keys, by_position])
@pytest.mark.parametrize(("grid", "pool"), SHAPES, ids=str)
@pytest.mark.parametrize("samples", [1, 2])
def test_values_and_gradients_are_those_of_the_definition(pooling, grid, pool, samples):
    x = a_map(grid, samples).requires_grad_()
    pooled = pooling(x, pool)
    assert_same(pooled, x, pool, torch.randn_like(pooled).requires_grad_())


@pytest.mark.parametrize("pooling", [ops.pool_keys, by_position])
@pytest.mark.parametrize("layout", ["channels last", "a part of a map", "time first"])
def test_every_layout_of_a_map(pooling, layout):
    grid = (3, 4, 6)
    x = {
        "channels last": a_map(grid).to(memory_format=torch.channels_last_3d),
        "a part of a map": a_map((3, 8, 6))[:, :, :, ::2],
        "time first": a_map(grid).transpose(1, 2).contiguous().transpose(1, 2),
    }[layout].requires_grad_()
    pooled = pooling(x, 2)
    assert_same(pooled, x, 2, torch.randn_like(pooled).requires_grad_())


def test_what_is_not_a_number_shows_and_takes_the_gradient_where_it_would():
    x = a_map((6, 4))
    x[0, 0, 0, 0], x[0, 1, 1, 0], x[1, 2, 2:4, 2:4], x[1, 3] = math.nan, math.nan, math.nan, -math.inf
    x.requires_grad_()
    pooled, expected = ops.pool_keys(x, 2), definition(x, 2)
    torch.testing.assert_close(pooled, expected, rtol=0, atol=0, equal_nan=True)
    found, wanted = (torch.autograd.grad(z, x, torch.ones_like(z))[0] for z in (pooled, expected))
    assert torch.equal(found, wanted)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own, as it loads forward mode
@pytest.mark.parametrize(("grid", "pool"), SHAPES[::3], ids=str)
def test_forward_mode(grid, pool):
    x = a_map(grid)
    direction = torch.randn_like(x)
    found, wanted = (
        torch.func.jvp(lambda t, pooling=pooling: pooling(t, pool), (x,), (direction,))
        for pooling in (ops.pool_keys, definition)
    )
    assert torch.equal(found[0], wanted[0]) and torch.equal(found[1], wanted[1])


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")  # of torch's own pooling
def test_vmap_over_samples_and_over_gradients():
    several = torch.stack([a_map((4, 6)), a_map((4, 6)).flip(2)])
    assert torch.equal(
        torch.func.vmap(lambda x: ops.pool_keys(x, 2))(several),
        ops.pool_keys(several.flatten(0, 1), 2).view(2, 2, 4, 2, 3),
    )
    x = a_map((4, 6), samples=1).requires_grad_()
    pooled = ops.pool_keys(x, 2)
    basis = torch.eye(pooled.numel(), dtype=x.dtype).view(-1, *pooled.shape)
    rows = torch.stack([torch.autograd.grad(pooled, x, dy, retain_graph=True)[0] for dy in basis])
    assert torch.equal(torch.autograd.grad(pooled, x, basis, retain_graph=True, is_grads_batched=True)[0], rows)
    jacobian = torch.func.jacrev(lambda x: ops.pool_keys(x, 2))(x.detach())
    assert torch.equal(jacobian.view(rows.shape), rows)


def test_halves_and_large_maps():
    """More than 2^15 positions need a wider number for the place of a maximum."""
    x = torch.randn(1, 1, 256, 192, dtype=torch.bfloat16, requires_grad=True)
    pooled = ops.pool_keys(x, 4)
    assert_same(pooled, x, 4, torch.randn_like(pooled).requires_grad_())


@pytest.mark.parametrize("samples", [1, 3])
def test_positions_are_pooled_without_a_copy_and_keep_two_bytes_per_key(samples):
    """Torch takes the strides of one sample alone for another layout unless they are those of many samples."""
    y = torch.randn(samples, 36, 16, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda t: t):
        assert new_maps(lambda: pool_positions((6, 6), 2, y), like=y) == []
    assert sum(t.numel() * t.element_size() for t in kept) == 2 * samples * 9 * 16
    with torch.profiler.profile() as profile, torch.no_grad():
        pool_positions((6, 6), 2, y)
    assert "aten::clone" not in {event.key for event in profile.key_averages()}


def test_keys_are_the_maxima_of_whole_windows():
    x = torch.arange(2 * 7 * 5).reshape(1, 2, 7, 5).float()
    pooled = ops.pool_keys(x, 2)
    assert pooled.shape == (1, 2, 3, 2)
    assert torch.equal(pooled, x[:, :, 1:6:2, 1:4:2])


def test_no_pooling_returns_the_map_itself():
    x = torch.randn(1, 2, 3, 4, 5)
    assert ops.pool_keys(x, 1) is x and ops.pool_keys(x, (1, 1, 1)) is x


def test_a_window_larger_than_the_grid_is_refused():
    with pytest.raises(ValueError, match=r"a pooling window of \(2, 2\) does not fit a grid of \(4, 1\).*use pool=1"):
        ops.pool_keys(torch.randn(1, 2, 4, 1), 2)
