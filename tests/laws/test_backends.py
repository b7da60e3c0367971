"""Every way to compute a block gives what the definition gives: outputs, and each gradient by name."""

import pytest
import torch

from wholeframe import ops
from wholeframe.blocks import BLOCKS

NAMES = [name for name in BLOCKS if hasattr(BLOCKS[name].make(32), "backend")]


def outcome(block, x, backend):
    block.backend = backend
    block.zero_grad()
    x = x.clone().requires_grad_()
    y = block(x)
    y.backward(torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape))
    return y.detach(), {"x": x.grad, **{name: parameter.grad.clone() for name, parameter in block.named_parameters()}}


def asymmetry(block, backend):
    """Why pooled keys take x x^T away from a backend that is made of it."""
    if block.pool > 1 and backend in ("symmetric", "gram"):
        if block.kind == "gaussian":
            return "its queries are its keys, and here they are two tensors"
        if block.pool_order == "after":
            return "a maximum over phi and g has no product with x"
    return None


@pytest.mark.parametrize(
    ("pool", "pool_order"), [(1, "after"), (2, "after"), (2, "before")], ids=["all_keys", "pool_after", "pool_before"]
)
def test_every_backend_agrees_with_dense(alive, x, pool, pool_order):
    block = alive(pool=pool, pool_order=pool_order)
    y, gradients = outcome(block, x, "dense")
    for backend in ("auto", *ops.backend_names(block.kind)):
        if reason := asymmetry(block, backend):
            with pytest.raises(ValueError, match=reason):
                outcome(block, x, backend)
            continue
        other, others = outcome(block, x, backend)
        torch.testing.assert_close(other, y, rtol=0, atol=1e-13 * float(y.abs().max()))
        for name, gradient in gradients.items():
            # A bias in front of a batch norm or inside a softmax has a gradient of rounding errors, hence the one.
            largest = max(float(gradient.abs().max()), 1.0)
            torch.testing.assert_close(
                others[name],
                gradient,
                rtol=0,
                atol=1e-12 * largest,
                msg=lambda text, at=(backend, name): f"{at} {text}",
            )


def test_blocks_with_backends_are_those_of_the_pairwise_operation():
    assert NAMES == ["nl", "nl_gaussian", "nl_euclidean", "nl_dot", "nl_concatenation"]
