"""Blocks on large maps, with gradients by hand: those of the equation, by name, in every layout and in little room."""

from functools import partial

import pytest
import torch
from rounding import agree, moved, moves

from wholeframe.bench.references import plain_context
from wholeframe.blocks import BLOCKS, ContextBlock, GlobalContext, LinearTransform, StdContext
from wholeframe.models.measure import peak_bytes
from wholeframe.ops import context

MADE = {
    "gc": lambda: GlobalContext(8, ratio=1 / 2, init="random"),
    "gc, multiply": lambda: GlobalContext(8, ratio=1 / 2, fusion="multiply", init="random"),
    "gc, multiply_add": lambda: GlobalContext(8, ratio=1 / 2, fusion="multiply_add", init="random"),
    "snl": lambda: BLOCKS["snl"].make(8, init="random"),
    "se": lambda: BLOCKS["se"].make(8, ratio=1 / 2),
    "eca": lambda: BLOCKS["eca"].make(8),
    "std": lambda: ContextBlock(8, context=StdContext, transform=LinearTransform, fusion="multiply", init="random"),
}
LAYOUTS = {
    "contiguous": lambda x: x,
    "channels_last": lambda x: x.to(memory_format=torch.channels_last),
    "strided": lambda x: torch.stack([x, x], dim=-1).flatten(-2)[..., ::2],
}


def gradients(block, x, weights):
    x = x.detach().requires_grad_()
    inputs = {"x": x, **dict(block.named_parameters())}
    found = torch.autograd.grad(plain_context(block, x), [*inputs.values()], weights)
    return dict(zip(inputs, found, strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", MADE)
def test_gradients_are_those_of_the_equation(monkeypatch, name, layout):
    monkeypatch.setattr(context, "LARGE", 0)
    torch.manual_seed(0)
    block = MADE[name]().double()
    x = LAYOUTS[layout](torch.randn(2, 8, 3, 4, dtype=torch.float64)).requires_grad_()
    inputs, weights = {"x": x, **dict(block.named_parameters())}, torch.randn(2, 8, 3, 4, dtype=torch.float64)
    y, expected = block(x), plain_context(block, x)
    agree(y, expected, x[0].numel(), moved=moved(partial(plain_context, block), x))
    ours, theirs = (torch.autograd.grad(out, [*inputs.values()], weights) for out in (y, expected))
    move = moves(partial(gradients, weights=weights), block, x)
    for key, gradient, other in zip(inputs, ours, theirs, strict=True):
        agree(gradient, other, x.numel(), moved=move[key], what=key)


def test_x_is_never_written_to(monkeypatch):
    monkeypatch.setattr(context, "LARGE", 0)
    for make in MADE.values():
        x = torch.randn(2, 8, 3, 4, requires_grad=True)
        before, gradient = x.detach().clone(), torch.randn(2, 8, 3, 4)
        kept = gradient.clone()
        make()(x).backward(gradient)
        assert torch.equal(x, before) and torch.equal(gradient, kept)


@pytest.mark.parametrize("name", ["gc", "snl", "se", "eca"])
def test_training_needs_room_for_one_map(name):
    """The output, and after it the gradient: autograd alone takes two and three."""
    block, x = BLOCKS[name].make(64), torch.randn(2, 64, 32, 32, requires_grad=True)
    assert context.by_hand(x)

    def step():
        block(x).sum().backward()

    step()
    x.grad = None
    assert peak_bytes(step, torch.device("cpu")) < 1.3 * x.nbytes
