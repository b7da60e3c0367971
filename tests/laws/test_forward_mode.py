"""Forward-mode derivatives go through every block, to its input and all its parameters at once.

torch has none of its fused attention, which `auto` takes for kinds with a softmax: they are asked with
`backend="dense"`. Nor has it one of hardsigmoid's gradient, so `ese` has no forward over reverse.
"""

import pytest
import torch
from torch.func import functional_call, grad, jacfwd, jacrev, jvp

from wholeframe.ops import context

FUSED = ("nl", "nl_gaussian", "nl_euclidean")
# What `auto` takes of small maps, and what it takes of large ones.
WAYS = {
    **{name: ({"backend": "dense"},) for name in FUSED},
    "nl_dot": ({}, {"backend": "associative"}, {"backend": "gram"}),
    "nl_concatenation": ({}, {"backend": "sorted"}),
}
# torch's own, as it loads forward mode
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
STEP = 1e-5


def with_parameters(block):
    """The block as a function of its parameters and of x, and the parameters."""
    parameters, buffers = (
        {k: t.detach() for k, t in found} for found in (block.named_parameters(), block.named_buffers())
    )
    return lambda weights, x: functional_call(block, (weights, buffers), (x,)), parameters


def directions(parameters, x):
    return {k: torch.randn_like(t) for k, t in parameters.items()}, torch.randn_like(x)


@pytest.mark.parametrize("by_hand", [False, True])
def test_along_a_direction(monkeypatch, alive, name, x, by_hand):
    """Against differences, which know nothing of any derivative."""
    monkeypatch.setattr(context, "LARGE", 0 if by_hand else context.LARGE)
    for options in WAYS.get(name, ({},)):
        function, parameters = with_parameters(alive(**options).eval())
        along, dx = directions(parameters, x)

        def step(s):
            return function({k: t + s * along[k] for k, t in parameters.items()}, x + s * dx)  # noqa: B023

        y, dy = jvp(function, (parameters, x), (along, dx))
        torch.testing.assert_close(y, function(parameters, x), rtol=1e-12, atol=1e-12)
        expected = (step(STEP) - step(-STEP)) / (2 * STEP)
        torch.testing.assert_close(dy, expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max()))
        with torch.no_grad():
            torch.testing.assert_close(jvp(function, (parameters, x), (along, dx))[1], dy, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("by_hand", [False, True])
def test_of_the_gradient(monkeypatch, alive, name, x, by_hand):
    """Forward over reverse: the products of a Hessian with a vector."""
    if name == "ese":
        pytest.skip("torch has no forward-mode derivative of hardsigmoid's gradient")
    monkeypatch.setattr(context, "LARGE", 0 if by_hand else context.LARGE)
    for options in WAYS.get(name, ({},)):
        block, dx = alive(**options).eval().requires_grad_(False), torch.randn_like(x)
        slope = grad(lambda t: block(t).sin().sum())  # noqa: B023
        found, expected = jvp(slope, (x,), (dx,))[1], (slope(x + STEP * dx) - slope(x - STEP * dx)) / (2 * STEP)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")  # eca's windows, row by row
def test_jacobians(alive, name, x):
    """Column by column, and row by row."""
    block = alive(**WAYS.get(name, ({},))[-1]).eval()
    torch.testing.assert_close(jacfwd(block)(x[:1]), jacrev(block)(x[:1]), rtol=1e-9, atol=1e-9)
