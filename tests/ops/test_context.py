import pytest
import torch
import torch.nn.functional as F

from wholeframe import ops


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(2, 7, 4, dtype=torch.float64)


@pytest.fixture
def weight():
    return torch.linspace(-1, 1, 4, dtype=torch.float64)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-13, atol=1e-13)


def test_mean_context_is_the_mean(x):
    close(ops.mean_context(x), x.sum(dim=1) / 7)


def test_attention_weights_sum_to_one_and_do_not_see_the_bias(x, weight):
    weights = ops.attention_weights(x, weight)
    close(weights.sum(dim=1), torch.ones(2, dtype=torch.float64))
    close(ops.attention_weights(x, weight, torch.tensor([3.0], dtype=torch.float64)), weights)


def test_attention_context_is_attention_with_one_query(x, weight):
    query = weight.expand(2, 1, -1)
    close(ops.attention_context(x, weight), F.scaled_dot_product_attention(query, x, x, scale=1.0)[:, 0])


def test_attention_context_without_a_preference_is_the_mean(x):
    close(ops.attention_context(x, torch.zeros(4, dtype=torch.float64)), ops.mean_context(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sums_in_float32(dtype):
    """65536 ones: their sum is no float16, and bfloat16 would stop counting at 256."""
    x = torch.ones(1, 2**16, 2, dtype=dtype)
    assert torch.equal(ops.mean_context(x), torch.ones(1, 2, dtype=dtype))
    assert torch.equal(ops.attention_context(x, torch.ones(2, dtype=dtype)), torch.ones(1, 2, dtype=dtype))


@pytest.mark.parametrize("needed", [(0,), (1,), (0, 1, 2)])
def test_the_gradient_by_hand_is_that_of_the_definition(needed):
    torch.manual_seed(0)
    inputs = [torch.randn(*shape, dtype=torch.float64) for shape in ((2, 5, 3), (3,), (1,))]
    for index in needed:
        inputs[index].requires_grad_()
    wanted, dc = [inputs[index] for index in needed], torch.randn(2, 3, dtype=torch.float64)
    defined = torch.einsum("bn,bnc->bc", ops.attention_weights(*inputs), inputs[0])
    for by_hand, expected in zip(
        torch.autograd.grad(ops.attention_context(*inputs), wanted, dc),
        torch.autograd.grad(defined, wanted, dc),
        strict=True,
    ):
        torch.testing.assert_close(by_hand, expected, rtol=1e-12, atol=1e-14)


def test_the_gradient_of_a_map_keeps_its_layout():
    """In positions' order it would be copied when the residual's gradient is added."""
    x = torch.randn(2, 3, 4, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(ops.attention_context(ops.to_positions(x), torch.randn(3)).sum(), x)
    assert gradient.is_contiguous()
