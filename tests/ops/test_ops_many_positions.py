"""float32 at 100,000 positions: no fast way errs more against float64 than the definition does in float32.

Few of the queries, or few of the keys, see all the others, so that the definition fits: its rows and columns are sums
of their own. Below 1e-6 nothing is asked: which of two roundings is the larger one is chance there, and errors that
grow with the number of positions are above. There too the two differ by chance: in either direction by a tenth, from
seed to seed and from one processor's order of sums to another's.
"""

import pytest
import torch

from wholeframe import ops

N, FEW, WIDTH = 100_000, 32, 16
ROUNDING = 1e-6


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def outcome(function, inputs, dy, dtype):
    leaves = [t.to(dtype).requires_grad_() for t in inputs]
    y = function(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, dy.to(dtype))]


def error(actual, exact):
    return float((actual.double() - exact).norm() / exact.norm())


def no_worse(fast, dense, names, inputs, dy):
    """In norm, the output and every gradient."""
    exact = outcome(dense, inputs, dy, torch.float64)
    ours, theirs = (outcome(function, inputs, dy, torch.float32) for function in (fast, dense))
    for name, a, b, e in zip(names, ours, theirs, exact, strict=True):
        assert error(a, e) <= max(1.25 * error(b, e), ROUNDING), f"{name}: {error(a, e):.1e}, dense {error(b, e):.1e}"


@pytest.mark.slow
@pytest.mark.parametrize(("q", "k"), [(FEW, N), (N, FEW)], ids=["many_keys", "many_queries"])
@pytest.mark.parametrize("kind", ops.KINDS)
def test_pairwise(kind, q, k):
    w_f, beta = torch.randn(2 * WIDTH), torch.tensor([0.1])
    inputs = [torch.randn(1, q, WIDTH), torch.randn(1, k, WIDTH), torch.randn(1, k, WIDTH)]
    extra = [w_f, beta] if kind == "concatenation" else []

    def run(backend):
        def function(theta, phi, value, w_f=None, beta=None):
            return ops.non_local_operation(theta, phi, value, kind, w_f=w_f, beta=beta, backend=backend)

        return function

    names = ["y", "theta", "phi", "value", "w_f", "beta"]
    dy = torch.randn(1, q, WIDTH)
    no_worse(run(ops.backend_names(kind)[0]), run("dense"), names[: 4 + len(extra)], [*inputs, *extra], dy)


def test_all_pairs_of_a_concatenation():
    """Ten thousand million pairs, by sorting; the definition for some of the queries."""
    theta, phi, value = torch.randn(1, N, WIDTH), torch.randn(1, N, WIDTH), torch.randn(1, N, WIDTH)
    w_f, some = torch.randn(2 * WIDTH), torch.randperm(N)[:FEW]
    fast = ops.non_local_operation(theta, phi, value, "concatenation", w_f=w_f, backend="sorted")[:, some]

    def dense(dtype):
        few = [t.to(dtype) for t in (theta[:, some], phi, value)]
        return ops.non_local_operation(*few, "concatenation", w_f=w_f.to(dtype), backend="dense")

    exact = dense(torch.float64)
    assert error(fast, exact) <= max(1.25 * error(dense(torch.float32), exact), ROUNDING)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(("i", "j"), [(FEW, N), (N, FEW)], ids=["many_keys", "many_queries"])
@pytest.mark.parametrize("kernel", ops.KERNELS)
def test_compact(kernel, i, j):
    inputs = [torch.randn(1, 1, i), torch.randn(1, 1, j), torch.randn(1, 1, j)]
    options = {"gamma": 0.3, "order": 3}
    no_worse(
        lambda *t: ops.compact_gnl(*t, kernel, **options),
        lambda *t: ops.gnl(*t, kernel, **options),
        ["y", "theta", "phi", "value"],
        inputs,
        torch.randn(1, 1, i),
    )


def test_mean_context():
    x, dy = torch.randn(2, WIDTH, N) + 1, torch.randn(2, WIDTH)
    no_worse(ops.mean_context, lambda x: x.mean(dim=2), ["c", "x"], [x], dy)


def test_covariance():
    v, dy = torch.randn(1, WIDTH, N) + 1, torch.randn(1, WIDTH, WIDTH)

    def in_parts(v):
        """The definition without its N x N centring matrix."""
        centred = v - v.mean(dim=2, keepdim=True)
        return centred @ centred.mT / N

    no_worse(ops.covariance, in_parts, ["S", "v"], [v], dy)


def test_attention_context():
    x, w, dy = torch.randn(2, WIDTH, N) + 1, torch.randn(WIDTH) / 4, torch.randn(2, WIDTH)

    def pooled(x, w):
        """A product of matrices, as in every reference."""
        return ((x.mT @ w).softmax(dim=1)[:, None] @ x.mT)[:, 0]

    no_worse(ops.attention_context, pooled, ["c", "x", "w"], [x, w], dy)
