"""Any grid: odd sizes, one position, an empty batch, any layout in memory, any order of positions."""

import pytest
import torch
from rounding import agree, moved

from wholeframe.blocks import BLOCKS
from wholeframe.ops import context

POOLING = [name for name in BLOCKS if name.startswith("nl")]


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
def test_any_size_of_an_axis(alive, rank, size):
    block, x = alive(), torch.randn(2, 8, *[size] * rank, dtype=torch.float64)
    y = block(x)
    assert y.shape == x.shape
    assert torch.isfinite(y).all()


@pytest.mark.parametrize("pool_order", ["before", "after"])
def test_pooling_drops_the_rows_that_fill_no_window(alive, name, rank, pool_order):
    if name not in POOLING:
        with pytest.raises(ValueError, match="pool"):
            alive(pool=2)
        return
    block = alive(pool=2, pool_order=pool_order).eval()
    grid = {1: (7,), 2: (7, 5), 3: (3, 7, 5)}[rank]
    x = torch.randn(2, 8, *grid, dtype=torch.float64)
    y = block(x)
    changed = x.clone()
    changed[..., -1] += 1
    # The last column is a query, so it changes; it is no key, so the others do not.
    agree(block(changed)[..., :-1], y[..., :-1], x[0].numel(), moved=moved(block, x))
    assert not torch.allclose(block(changed)[..., -1], y[..., -1])


def test_one_position(alive, rank):
    block, x = alive(), torch.randn(2, 8, *[1] * rank, dtype=torch.float64)
    assert torch.isfinite(block(x)).all()


def test_an_empty_batch(alive, grid):
    block = alive().eval()
    x = torch.randn(0, 8, *grid, dtype=torch.float64, requires_grad=True)
    y = block(x)
    assert y.shape == x.shape
    y.sum().backward()
    assert x.grad.shape == x.shape


def test_samples_do_not_see_each_other(alive, x):
    block = alive().eval()
    agree(block(x)[:1], block(x[:1]), x[0].numel(), moved=moved(block, x))


def test_channels_last(alive, x):
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    block, layout = alive(), layouts.get(x.ndim)
    other = x.transpose(1, 2).contiguous().transpose(1, 2) if layout is None else x.to(memory_format=layout)
    assert not other.is_contiguous()
    agree(block(other), block(x), x[0].numel(), moved=moved(block, x))


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("mixed", [False, True])
def test_the_order_in_memory_is_that_of_the_input(alive, rank, mixed, samples, large, monkeypatch):
    """The next layer of the host may call `view` on a contiguous map, and be slow on another order.

    Layers read the order from all strides, also from that of a single sample.
    """
    if large:
        monkeypatch.setattr(context, "LARGE", 0)
    block, x = alive().float(), torch.randn(samples, 8, *(3, 4, 5)[-rank:])
    last = x.movedim(1, -1).contiguous().movedim(-1, 1)
    for train in (False, True):
        block.train(train)
        for given in (x, last, x.bfloat16(), last.bfloat16()) if mixed else (x, last):
            given.requires_grad_()
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                z = block(given)
            (gradient,) = torch.autograd.grad(z, given, torch.ones_like(z))
            for maps in (z, gradient):
                assert maps.is_contiguous() if given.is_contiguous() else maps.stride() == given.stride(), maps.stride()


def test_a_map_that_is_not_contiguous(alive, x):
    block = alive()
    strided = torch.stack([x, x + 1], dim=-1).flatten(-2)[..., ::2]
    turned = x.transpose(0, -1).contiguous().transpose(0, -1)
    assert not strided.is_contiguous() and not turned.is_contiguous()
    for other in (strided, turned):
        agree(block(other), block(x), x[0].numel(), moved=moved(block, x))


def test_positions_have_no_order(alive, name, x):
    """A block is equivariant under permutations of positions: it knows what is there and not where.

    Except one: GSoP's position block has weights for every cell of a coarse grid.
    """
    block, order = alive(), torch.randperm(x[0, 0].numel())

    def shuffled(y):
        return y.flatten(2)[..., order].reshape(y.shape)

    if name == "gsop_position":
        assert not torch.allclose(block(shuffled(x)), shuffled(block(x)))
    else:
        agree(block(shuffled(x)), shuffled(block(x)), x[0].numel(), moved=moved(block, x))
