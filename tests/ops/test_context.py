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
