import pytest
import torch
import torch.nn.functional as F
from rounding import agree
from torch.autograd import gradcheck, gradgradcheck

from wholeframe import ops
from wholeframe.ops import context


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(2, 4, 7, dtype=torch.float64)


@pytest.fixture
def weight():
    return torch.linspace(-1, 1, 4, dtype=torch.float64)


def close(actual, expected):
    agree(actual, expected, terms=64)  # more than any map below has numbers


def test_mean_context_is_the_mean(x):
    close(ops.mean_context(x), x.sum(dim=2) / 7)


def test_attention_weights_sum_to_one_and_do_not_see_the_bias(x, weight):
    weights = ops.attention_weights(x, weight)
    close(weights.sum(dim=1), torch.ones(2, dtype=torch.float64))
    close(ops.attention_weights(x, weight, torch.tensor([3.0], dtype=torch.float64)), weights)


def test_attention_context_is_attention_with_one_query(x, weight):
    query, keys = weight.expand(2, 1, -1), x.mT
    close(ops.attention_context(x, weight), F.scaled_dot_product_attention(query, keys, keys, scale=1.0)[:, 0])


def test_attention_context_without_a_preference_is_the_mean(x):
    close(ops.attention_context(x, torch.zeros(4, dtype=torch.float64)), ops.mean_context(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sums_in_float32(dtype):
    """65536 ones: their sum is no float16, and bfloat16 would stop counting at 256."""
    x = torch.ones(1, 2, 2**8, 2**8, dtype=dtype)
    assert torch.equal(ops.mean_context(x), torch.ones(1, 2, dtype=dtype))
    assert torch.equal(ops.attention_context(x, torch.ones(2, dtype=dtype)), torch.ones(1, 2, dtype=dtype))


# ------------------------------------------------------------------------------------------------ gradients by hand


@pytest.fixture
def by_hand(monkeypatch):
    """However small the map."""
    monkeypatch.setattr(context, "LARGE", 0)


def test_a_gradient_by_hand_is_for_large_maps_that_want_one():
    x = torch.empty(1, 2**9, 2**4, 2**4)
    assert context.by_hand(x) and not context.by_hand(x[:, 1:])
    with torch.no_grad():
        assert not context.by_hand(x)


@pytest.mark.parametrize("needed", [(0,), (1,), (0, 1, 2)])
@pytest.mark.usefixtures("by_hand")
def test_the_gradient_by_hand_is_that_of_the_definition(needed):
    torch.manual_seed(0)
    inputs = [torch.randn(*shape, dtype=torch.float64) for shape in ((2, 3, 5), (3,), (1,))]
    for index in needed:
        inputs[index].requires_grad_()
    wanted, dc = [inputs[index] for index in needed], torch.randn(2, 3, dtype=torch.float64)
    for by_hand, expected in zip(
        torch.autograd.grad(ops.attention_context(*inputs), wanted, dc),
        torch.autograd.grad(ops.dense_attention_context(*inputs), wanted, dc),
        strict=True,
    ):
        agree(by_hand, expected, terms=inputs[0].numel(), scale=1.0)


def test_the_dense_context_is_its_equation(x, weight):
    close(ops.dense_attention_context(x, weight), torch.einsum("bn,bcn->bc", ops.attention_weights(x, weight), x))


def of_both(x, weight, bias):
    """A function of the context and of the map beside it."""
    summary, beside = ops.attention_context_beside(x, weight, bias)
    return 2 * summary + (beside.cos() * summary[:, :, None]).sum(dim=2)


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("channels_last", [False, True])
def test_first_and_second_derivatives_of_a_context_and_the_map_beside(channels_last):
    torch.manual_seed(0)
    x = torch.randn(2, 4, 3, dtype=torch.float64).mT if channels_last else torch.randn(2, 3, 4, dtype=torch.float64)
    inputs = [x.requires_grad_(), *(torch.randn(n, dtype=torch.float64, requires_grad=True) for n in (3, 1))]
    assert gradcheck(of_both, inputs, check_batched_grad=True)
    assert gradgradcheck(of_both, inputs, fast_mode=True)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own, where it loads forward mode
@pytest.mark.usefixtures("by_hand")
def test_first_and_second_derivatives_of_a_gate():
    torch.manual_seed(0)
    x, gate = (torch.randn(2, 3, *n, dtype=torch.float64, requires_grad=True) for n in ((2, 2), ()))
    assert gradcheck(ops.gated, (x, gate), check_batched_grad=True, check_forward_ad=True)
    assert gradgradcheck(ops.gated, (x, gate))


@pytest.mark.usefixtures("by_hand")
def test_gradients_of_single_samples(weight):
    """torch.func sees through the gradients by hand."""
    torch.manual_seed(0)
    x, gate = torch.randn(3, 1, 4, 5, dtype=torch.float64), torch.randn(3, 1, 4, dtype=torch.float64)

    def loss(x, gate):
        return (of_both(x, weight, None) + ops.gated(x, gate).sum(dim=2)).sin().sum()

    gradient = torch.func.grad(loss, (0, 1))
    for found, single in zip(
        torch.func.vmap(gradient)(x, gate), zip(*map(gradient, x, gate), strict=True), strict=True
    ):
        close(found, torch.stack(single))


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gradients_by_hand_have_the_types_of_their_inputs(dtype):
    x, gate = torch.randn(2, 3, 4, dtype=dtype, requires_grad=True), torch.rand(2, 3, requires_grad=True)
    ops.gated(x, gate).sum().backward()
    assert (x.grad.dtype, gate.grad.dtype) == (dtype, torch.float32)
    weight = torch.randn(3, requires_grad=True)
    summary, beside = ops.attention_context_beside(x, weight)
    (summary.sum() + beside.sum()).backward()
    assert summary.dtype == beside.dtype == x.grad.dtype == dtype and weight.grad.dtype == torch.float32


@pytest.mark.usefixtures("by_hand")
def test_the_map_beside_may_be_all_that_is_wanted(x, weight):
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(ops.attention_context_beside(x, weight)[1].square().sum(), x)
    close(gradient, 2 * x.detach())


@pytest.mark.usefixtures("by_hand")
def test_the_gradient_of_a_map_keeps_its_layout():
    """In another order it would be copied when the residual's gradient is added."""
    x = torch.randn(2, 3, 4, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(ops.attention_context(x, torch.randn(3)).sum(), x)
    assert gradient.is_contiguous()
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_()
    (gradient,) = torch.autograd.grad(ops.attention_context(x, torch.randn(3)).sum(), x)
    assert gradient.is_contiguous(memory_format=torch.channels_last)
