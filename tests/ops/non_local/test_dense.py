"""The definition against literal formulas; `tests/laws` compares the fast ways with the definition."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from wholeframe import ops
from wholeframe.blocks import NonLocal, SimplifiedNonLocal
from wholeframe.ops.non_local import cost

B, Q, K, D, V = 2, 6, 5, 4, 3
GAUSSIANS = ("gaussian", "embedded_gaussian", "euclidean_gaussian")


@pytest.fixture
def inputs():
    torch.manual_seed(0)
    return [torch.randn(B, n, width, dtype=torch.float64) for n, width in ((Q, D), (K, D), (K, V))]


@pytest.fixture
def w_f():
    return torch.linspace(-1, 1, 2 * D, dtype=torch.float64)


def close(actual, expected, tolerance=1e-13):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("scale", [None, "sqrt_dim", 0.3])
@pytest.mark.parametrize("kind", GAUSSIANS)
def test_rows_of_the_gaussians_sum_to_one(inputs, kind, scale):
    theta, phi, _ = inputs
    weights = ops.pairwise_weights(theta, phi, kind, scale=scale)
    assert weights.min() >= 0
    close(weights.sum(dim=-1), torch.ones(B, Q, dtype=torch.float64))


@pytest.mark.parametrize(("scale", "s"), [(None, 1.0), ("sqrt_dim", 0.5), (0.3, 0.3)])
def test_gaussian_is_the_literal_softmax(inputs, scale, s):
    theta, phi, _ = inputs
    f = torch.exp(s * torch.einsum("bqd,bkd->bqk", theta, phi))
    for kind in ("gaussian", "embedded_gaussian"):
        close(ops.pairwise_weights(theta, phi, kind, scale=scale), f / f.sum(dim=-1, keepdim=True))


@pytest.mark.parametrize(("scale", "s"), [(None, 1.0), ("sqrt_dim", 0.5), (0.3, 0.3)])
def test_euclidean_gaussian_is_of_literal_distances(inputs, scale, s):
    theta, phi, _ = inputs
    f = torch.exp(-s / 2 * (theta[:, :, None] - phi[:, None]).square().sum(dim=-1))
    close(ops.pairwise_weights(theta, phi, "euclidean_gaussian", scale=scale), f / f.sum(dim=-1, keepdim=True))


def test_dot_is_divided_by_the_number_of_keys(inputs):
    theta, phi, _ = inputs
    close(ops.pairwise_weights(theta, phi, "dot"), torch.einsum("bqd,bkd->bqk", theta, phi) / K)


@pytest.mark.parametrize("beta", [None, 0.7])
def test_concatenation_is_that_of_the_concatenated_tensor(inputs, w_f, beta):
    theta, phi, _ = inputs
    pairs = torch.cat([theta[:, :, None].expand(-1, -1, K, -1), phi[:, None].expand(-1, Q, -1, -1)], dim=-1)
    beta = None if beta is None else torch.tensor([beta], dtype=torch.float64)
    f = F.relu(pairs @ w_f + (0 if beta is None else beta))
    assert (f == 0).any() and (f > 0).any()
    close(ops.pairwise_weights(theta, phi, "concatenation", w_f=w_f, beta=beta), f / K)


@pytest.mark.parametrize("scale", [None, "sqrt_dim", 0.3])
@pytest.mark.parametrize("kind", ops.KINDS)
def test_pairwise_is_the_weighted_sum_of_the_values(inputs, w_f, kind, scale):
    """Queries, keys, channels and values of four different sizes."""
    theta, phi, value = inputs
    options = {"scale": scale, **({"w_f": w_f} if kind == "concatenation" else {})}
    expected = torch.einsum("bqk,bkv->bqv", ops.pairwise_weights(theta, phi, kind, **options), value)
    for backend in {"auto", *ops.backend_names(kind)} - {"symmetric", "gram"}:
        close(ops.non_local_operation(theta, phi, value, kind, backend=backend, **options), expected)


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("backend", ["symmetric", "gram"])
@pytest.mark.parametrize("scale", [None, 0.7])
def test_one_tensor_as_queries_and_keys(inputs, backend, scale, monkeypatch):
    """Six positions in chunks: outputs and gradients of both orders, and under vmap over either."""
    monkeypatch.setattr(cost, "CHUNK", 4)
    x, value = inputs[0].requires_grad_(), torch.randn(B, Q, V, dtype=torch.float64, requires_grad=True)

    def run(x, value, backend=backend):
        return ops.non_local_operation(x, x, value, "gaussian", scale=scale, backend=backend)

    close(run(x, value), run(x, value, backend="dense"))
    assert gradcheck(run, (x, value)) and gradgradcheck(run, (x, value))
    close(torch.func.vmap(run, (0, None))(torch.stack([x, 2 * x]), value)[1], run(2 * x, value))
    close(torch.func.vmap(run, (None, 0))(x, torch.stack([value, 2 * value]))[1], run(x, 2 * value))


@pytest.mark.parametrize("size", [1, 4, 8])
def test_chunks_that_end_with_the_positions(size, monkeypatch):
    monkeypatch.setattr(cost, "CHUNK", 4)
    x, value = torch.randn(B, size, D, dtype=torch.float64), torch.randn(B, size, V, dtype=torch.float64)
    close(*(ops.non_local_operation(x, x, value, "gaussian", backend=backend) for backend in ("symmetric", "dense")))


def test_chunks_keep_their_digits_where_later_keys_weigh_far_more():
    """Logits from 0 to 4e4, rising from chunk to chunk: sums over what came before have to shrink to nothing."""
    x = torch.linspace(0, 200, 500)[None, :, None]
    value = torch.linspace(-1, 1, 500)[None, :, None]
    out, dense = (
        ops.non_local_operation(x, x, value, "gaussian", backend=backend) for backend in ("symmetric", "dense")
    )
    close(out, dense, 1e-6)


@pytest.mark.parametrize("backend", ["symmetric", "gram"])
def test_two_tensors_are_not_one(inputs, backend):
    theta, phi, value = inputs
    with pytest.raises(ValueError, match="its queries are its keys, and here they are two tensors"):
        ops.non_local_operation(theta, phi, value, "gaussian", backend=backend)


@pytest.mark.parametrize("backend", ["sdpa", "dense"])
def test_euclidean_distances_do_not_lose_their_digits_to_an_offset(inputs, backend):
    """In float32, |theta|^2 + |phi|^2 - 2 theta . phi at an offset of 100 would keep three digits of the distance."""
    theta, phi, value = inputs
    expected = ops.non_local_operation(theta, phi, value, "euclidean_gaussian", backend="dense")
    shifted = ops.non_local_operation(
        theta.float() + 100, phi.float() + 100, value.float(), "euclidean_gaussian", backend=backend
    )
    assert (shifted - expected).abs().max() < 1e-4


def test_euclidean_distances_within_far_clusters():
    """Clusters at -100 and 100 in float32: the definition takes differences, and fused attention errs by the bound."""
    torch.manual_seed(0)
    centre = 100.0 * torch.tensor([1.0, -1.0]).repeat(8)[:, None]
    x = (centre + 0.3 * torch.randn(2, 16, D)).float()
    value = torch.randn(2, 16, V)
    options = {"kind": "euclidean_gaussian"}
    exact = ops.non_local_operation(x.double(), x.double(), value.double(), backend="dense", **options)
    definition = ops.non_local_operation(x, x, value, backend="dense", **options)
    assert (definition - exact).abs().max() < 1e-5
    fast = ops.non_local_operation(x, x, value, backend="sdpa", **options)
    largest_square = float((x - x.mean(dim=1, keepdim=True)).square().sum(dim=-1).max())
    # An error e of every logit changes weights by a factor of e^2e at most.
    assert (fast - exact).abs().max() < 4 * torch.finfo(torch.float32).eps * largest_square * float(value.abs().max())


@pytest.mark.parametrize("kind", ops.KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_halves_are_computed_in_float32(inputs, w_f, kind, dtype):
    theta, phi, _ = (x.to(dtype) for x in inputs)
    options = {"w_f": w_f.to(dtype)} if kind == "concatenation" else {}
    assert ops.pairwise_weights(theta, phi, kind, **options).dtype == torch.float32
    with torch.autocast("cpu", dtype=dtype):
        assert ops.pairwise_weights(theta.float(), phi.float(), kind, **options).dtype == torch.float32


def test_a_sum_over_many_keys_does_not_overflow_in_half_precision():
    """The raw sum is 4096 * 100 * 100 * 100 / 4096: only the division before the product keeps it below 65504."""
    theta, phi, value = (torch.full((1, 4096, 1), size, dtype=torch.float16) for size in (1.0, 100.0, 100.0))
    assert torch.all(ops.non_local_operation(theta, phi, value, "dot") == 10_000)


@pytest.mark.parametrize("scale", [None, "sqrt_dim"])
def test_a_constant_query_makes_non_local_simplified_non_local(scale):
    """theta = q: key vector q^T W_phi s, value map W_z W_g (Cao et al.; the released identity of `spec/gcnet` 1.4)."""
    torch.manual_seed(0)
    nl = NonLocal(8, scale=scale, norm=None, std=0.5, init="random").double()
    snl = SimplifiedNonLocal(8, init="random").double()
    with torch.no_grad():
        for bias in (nl.theta.bias, nl.g.bias, nl.out.bias):
            bias.normal_()
        nl.theta.weight.zero_()
        s = ops.resolve_scale(scale, nl.inner)
        snl.context.logits.weight.copy_(s * (nl.theta.bias @ nl.phi.weight)[None])
        snl.add.expand.weight.copy_(nl.out.weight @ nl.g.weight)
        snl.add.expand.bias.copy_(nl.out(nl.g.bias))
    x = torch.randn(2, 8, 5, 4, dtype=torch.float64)
    assert (nl(x) - x).abs().max() > 0.1
    close(nl(x), snl(x), 1e-12)


def test_backends_of_each_kind():
    assert {kind: ops.backend_names(kind) for kind in ops.KINDS} == {
        "gaussian": ("sdpa", "symmetric", "gram", "dense"),
        "embedded_gaussian": ("sdpa", "dense"),
        "euclidean_gaussian": ("sdpa", "dense"),
        "dot": ("associative", "gram", "dense"),
        "concatenation": ("sorted", "dense"),
    }
