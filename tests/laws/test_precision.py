"""Half precision stays finite and near: inside autocast, and as modules of half weights."""

import pytest
import torch

HALVES = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])


def near(actual, expected, x, error):
    """Within so much of float32, relative to what the block adds to its input."""
    assert torch.isfinite(actual).all()
    assert (actual.float() - expected).norm() / (expected - x).norm() < error


# Logits grow with the square of the inputs: at 12 some are thousands, and rounding theta moves the weights.
@HALVES
@pytest.mark.parametrize(("std", "roundings"), [(1, 8), (12, 32)], ids=["std1", "std12"])
def test_autocast(alive, x, dtype, std, roundings):
    block = alive().float().eval()
    x = (std * x).float().requires_grad_()
    expected = block(x)
    with torch.autocast("cpu", dtype=dtype):
        y = block(x)
    assert y.dtype == torch.float32
    near(y, expected, x, roundings * torch.finfo(dtype).eps)
    y.sum().backward()
    assert torch.isfinite(x.grad).all()


@HALVES
def test_a_module_of_half_weights(alive, x, dtype):
    block = alive().float().eval()
    x = (12 * x).float()
    expected = block(x)
    y = block.to(dtype)(x.to(dtype))
    assert y.dtype == dtype
    near(y, expected, x, 32 * torch.finfo(dtype).eps)


@HALVES
def test_training_of_half_weights(alive, x, dtype):
    block = alive().to(dtype)
    block(x.to(dtype)).float().square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in block.parameters())
