import pytest
import rounding
import torch
from torch.autograd import gradcheck, gradgradcheck

from wholeframe import ops
from wholeframe.ops.covariance import CENTRINGS


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def outcome(function, *inputs):
    """The output, and the gradient of every input for one that is not symmetric."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    y = function(*leaves)
    y.backward(torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape))
    return y.detach(), [leaf.grad for leaf in leaves]


def agree(fast, dense, *inputs):
    (y, gradients), (expected, others) = outcome(fast, *inputs), outcome(dense, *inputs)
    terms = inputs[0].numel()
    rounding.agree(y, expected, terms, scale=1.0)
    for gradient, other in zip(gradients, others, strict=True):
        rounding.agree(gradient, other, terms, scale=1.0)


# --------------------------------------------------------------------------------------------------------- covariance


@pytest.mark.parametrize("shape", [(2, 5, 9), (3, 7, 4), (2, 4, 1), (1, 1, 6)], ids=str)
def test_covariance_is_its_definition(shape):
    agree(ops.covariance, ops.dense_covariance, torch.randn(shape, dtype=torch.float64))


def test_covariance_is_that_of_torch():
    x = torch.randn(2, 5, 9, dtype=torch.float64)
    expected = torch.stack([sample.cov(correction=0) for sample in x])
    rounding.agree(ops.covariance(x), expected, terms=x.shape[2], scale=1.0)


def test_gradients_of_the_covariance():
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(ops.covariance, x)
    assert gradgradcheck(ops.covariance, x)


def test_an_empty_batch():
    x = torch.zeros(0, 3, 5, requires_grad=True)
    ops.covariance(x).sum().backward()
    assert x.grad.shape == x.shape


def test_covariance_under_vmap():
    x = torch.randn(3, 2, 4, 5, dtype=torch.float64)
    expected = ops.covariance(x.flatten(0, 1)).unflatten(0, (3, 2))
    torch.testing.assert_close(torch.func.vmap(ops.covariance)(x), expected)


def test_covariance_keeps_its_digits_at_an_offset():
    """An offset of 100 costs the definition three digits, and would cost them all without centring first."""
    x = torch.randn(2, 32, 196) + 100
    expected = ops.dense_covariance(x.double())

    def error(sigma):
        return float((sigma - expected).abs().max() / expected.abs().max())

    assert error(ops.covariance(x)) <= 5e-7
    assert error(ops.dense_covariance(x)) > 1e-4


def test_the_gradient_keeps_its_digits_at_an_offset():
    x = torch.randn(2, 32, 196) + 100
    gradients = [outcome(ops.covariance, x.to(dtype))[1][0] for dtype in (torch.float32, torch.float64)]
    assert (gradients[0] - gradients[1]).abs().max() <= 5e-6 * gradients[1].abs().max()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_covariance_is_float32_of_halves_and_under_autocast(dtype):
    x = torch.randn(2, 4, 50) + 5
    expected = ops.dense_covariance(x.to(dtype).double()).float()
    torch.testing.assert_close(ops.covariance(x.to(dtype)), expected, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", dtype=dtype):
        inside = ops.covariance(x)
    assert torch.equal(inside, ops.covariance(x))


def test_no_intermediate_is_samples_by_samples():
    """Forward and backward of 4096 samples: nothing is larger than the input, which is kept and no copy of it."""
    x = torch.randn(1, 4, 4096, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        ops.covariance(x)
    assert [t.data_ptr() for t in kept] == [x.data_ptr()]


# ------------------------------------------------------------------------------------------ covariance of positions


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 3, 6), (2, 4, 4), (1, 1, 3)], ids=str)
@pytest.mark.parametrize("centring", CENTRINGS)
def test_position_covariance_is_its_definition(shape, centring):
    agree(
        lambda v: ops.position_covariance(v, centring),
        lambda v: ops.dense_position_covariance(v, centring),
        torch.randn(shape, dtype=torch.float64),
    )


def test_only_the_exact_centring_ignores_an_offset():
    v = torch.randn(2, 5, 4, dtype=torch.float64)
    for centring in CENTRINGS:
        s, other = ops.position_covariance(v, centring), ops.position_covariance(v + 3, centring)
        assert torch.allclose(s, other) == (centring == "exact")


def test_centrings_are_the_same_where_channels_are_as_many_as_positions():
    v = torch.randn(2, 6, 6, dtype=torch.float64)
    for centring in CENTRINGS:
        torch.testing.assert_close(ops.position_covariance(v, centring), ops.covariance(v.mT))


def test_the_released_centring_may_be_indefinite():
    """With twice as many channels as positions it subtracts the mean twice over."""
    v = torch.ones(1, 8, 4, dtype=torch.float64)
    assert torch.linalg.eigvalsh(ops.position_covariance(v, "released")).min() < -1
    assert torch.linalg.eigvalsh(ops.position_covariance(v, "exact")).min() > -4 * v.numel() * torch.finfo(
        v.dtype
    ).eps * float(v.square().max())


# ------------------------------------------------------------------------------------------------- rows and triangles


@pytest.mark.parametrize(("d", "filters"), [(5, 4), (3, 6), (1, 1)])
def test_row_conv_is_its_definition(d, filters):
    shapes = ((2, d, d), (filters * d, 1, d), (filters * d,))
    agree(ops.row_conv, ops.dense_row_conv, *(torch.randn(shape, dtype=torch.float64) for shape in shapes))


def test_derivatives_of_the_row_conv():
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 3, 3), (6, 1, 3), (6,))]
    assert gradcheck(ops.row_conv, inputs, check_batched_grad=True)
    assert gradgradcheck(ops.row_conv, inputs)


def test_row_conv_filters_every_row_by_itself():
    s, weight = torch.randn(1, 3, 3, dtype=torch.float64), torch.randn(6, 1, 3, dtype=torch.float64)
    y = ops.row_conv(s, weight, torch.zeros(6, dtype=torch.float64))[0]
    for row in range(3):
        for k in range(2):
            torch.testing.assert_close(y[2 * row + k], s[0, row] @ weight[2 * row + k, 0])


def test_triangles_are_read_row_by_row():
    matrix = torch.arange(9.0).reshape(1, 3, 3)
    assert ops.triangle(matrix, "upper").tolist() == [[0, 1, 2, 4, 5, 8]]
    assert ops.triangle(matrix, "lower").tolist() == [[0, 3, 4, 6, 7, 8]]


def test_the_orders_are_permutations_of_each_other():
    """As a classifier is converted: entry (i, j), i <= j, of the upper order is (j, i) of the lower."""
    d = 5
    sigma = ops.covariance(torch.randn(2, d, 9, dtype=torch.float64))
    lower = ops.triangle(sigma, "lower")
    order = [j * (j + 1) // 2 + i for i in range(d) for j in range(i, d)]
    assert torch.equal(ops.triangle(sigma, "upper"), lower[:, order])


@pytest.mark.parametrize("order", ["upper", "lower"])
def test_gradient_of_a_triangle(order):
    matrix = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda m: ops.triangle(m, order), matrix)
