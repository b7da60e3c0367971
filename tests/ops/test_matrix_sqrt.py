from functools import partial

import pytest
import torch
from rounding import agree, moved
from torch.autograd import gradcheck, gradgradcheck

from wholeframe import ops


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def covariance(d, m, dtype=torch.float64):
    return ops.covariance(torch.randn(2, d, m, dtype=dtype))


def by_eigenvalues(sigma, function):
    values, vectors = torch.linalg.eigh(sigma)
    return vectors * function(values)[:, None, :] @ vectors.mT


def gradient(function, sigma):
    sigma = sigma.clone().requires_grad_()
    y = function(sigma)
    y.backward(torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape))
    return sigma.grad


ROOTS = [lambda s: ops.newton_schulz(s, 5), ops.eigen_root]
EVERY_ROOT = pytest.mark.parametrize("root", ROOTS, ids=["newton_schulz", "eigen"])


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 9])
@pytest.mark.parametrize(("d", "m"), [(5, 20), (6, 4), (1, 3)], ids=str)
def test_newton_schulz_is_its_definition(steps, d, m):
    sigma = covariance(d, m)
    y, expected = ops.newton_schulz(sigma, steps), ops.dense_newton_schulz(sigma, steps)
    agree(y, expected, 3 * steps * d, moved=moved(lambda s: ops.dense_newton_schulz(s, steps), sigma))
    fast, dense = (partial(gradient, partial(f, steps=steps)) for f in (ops.newton_schulz, ops.dense_newton_schulz))
    agree(fast(sigma), dense(sigma), 3 * steps * d, moved=moved(dense, sigma), scale=1.0)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_gradcheck_of_newton_schulz(steps):
    sigma = covariance(3, 8).requires_grad_()
    assert gradcheck(lambda s: ops.newton_schulz(s, steps), sigma)


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_newton_schulz_is_a_scalar_map_of_every_eigenvalue(steps):
    """lambda -> sqrt(tau) h(lambda / tau), with the same recursion on numbers: no root after so few steps."""
    sigma = covariance(5, 12)
    tau = sigma.diagonal(dim1=1, dim2=2).sum(dim=1, keepdim=True)

    def h(values):
        y, z = values / tau, torch.ones_like(values)
        for _ in range(steps):
            t = (3 - z * y) / 2
            y, z = y * t, t * z
        return tau.sqrt() * y

    agree(
        ops.newton_schulz(sigma, steps),
        by_eigenvalues(sigma, h),
        3 * steps * 5,
        moved=moved(partial(ops.newton_schulz, steps=steps), sigma),
    )


def test_newton_schulz_converges_to_the_root_of_the_eigenvalues():
    sigma = covariance(6, 40)
    expected = ops.eigen_root(sigma)
    errors = [float((ops.newton_schulz(sigma, steps) - expected).norm() / expected.norm()) for steps in (3, 5, 8, 20)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.1 and errors[-1] < 1e-12  # a residual after 20 steps, not a rounding error
    agree(expected @ expected, sigma, terms=6 * 6)
    many, exact = gradient(lambda s: ops.newton_schulz(s, 20), sigma), gradient(ops.eigen_root, sigma)
    torch.testing.assert_close(many + many.mT, exact + exact.mT, rtol=1e-9, atol=1e-9)


def test_scaling_is_given_back():
    """The root of 4 Sigma is twice that of Sigma, after any number of steps: the post-compensation."""
    sigma = covariance(4, 9)
    for steps in (1, 3, 5):
        torch.testing.assert_close(ops.newton_schulz(4 * sigma, steps), 2 * ops.newton_schulz(sigma, steps))


# ------------------------------------------------------------------------------------------------------ eigenvalues


def test_the_eigen_root_under_transforms():
    """Forward mode, mapped samples, and gradients by torch.func, where equal eigenvalues are many."""
    torch.manual_seed(0)
    x = torch.randn(3, 6, 4, dtype=torch.float64)  # fewer samples than variables

    def f(x):
        return ops.eigen_root(ops.covariance(x))

    dx, weights = torch.randn_like(x), torch.randn(3, 6, 6, dtype=torch.float64)
    _, tangent = torch.func.jvp(f, (x,), (dx,))
    grad = torch.func.grad(lambda x: (f(x) * weights).sum())(x)
    torch.testing.assert_close((tangent * weights).sum(), (grad * dx).sum())
    torch.testing.assert_close(torch.func.vmap(lambda y: f(y[None])[0])(x), f(x))
    y = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad((f(y) * weights).sum(), y)
    torch.testing.assert_close(grad, expected)


def test_gradcheck_of_the_eigen_root():
    """Of a function of X, whose covariance stays symmetric under finite differences."""
    x = torch.randn(2, 3, 8, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: ops.eigen_root(ops.covariance(x)), x, check_forward_ad=True)
    assert gradgradcheck(lambda x: ops.eigen_root(ops.covariance(x)), x)


def test_repeated_eigenvalues_have_a_gradient():
    """d sqrt(S) at S = 4 I is dS / 4; the gradient of the eigenvectors themselves is no number there."""
    sigma = 4 * torch.eye(3, dtype=torch.float64)[None]
    naive = gradient(lambda s: by_eigenvalues(s, torch.sqrt), sigma)
    assert not torch.isfinite(naive).all()
    ours = gradient(ops.eigen_root, sigma)
    symmetric = torch.linspace(-1, 1, 9, dtype=torch.float64).reshape(1, 3, 3)
    torch.testing.assert_close(ours, (symmetric + symmetric.mT) / 8)


def test_eigenvalues_of_rounding_errors_are_zero():
    """Of three samples of six variables two eigenvalues are positive; the others are 1e-17, and their root 1e-9."""
    values = torch.linalg.eigvalsh(ops.eigen_root(covariance(6, 3)))
    assert (values.abs() < 1e-14).sum() == 2 * 4


# --------------------------------------------------------------------------------------------------- edges, precision


@EVERY_ROOT
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "x",
    [
        torch.ones(2, 4, 9),
        torch.zeros(2, 4, 9),
        torch.linspace(-1, 1, 8).reshape(2, 4, 1),
        torch.linspace(-1, 1, 48).sin().reshape(2, 8, 3),
        1e-15 * torch.linspace(-9, 9, 72).sin().reshape(2, 4, 9),
    ],
    ids=["constant", "zero", "one position", "rank deficient", "tiny"],
)
def test_edges_are_finite(root, dtype, x):
    x = x.to(dtype, copy=True).requires_grad_()
    y = root(ops.covariance(x))
    assert torch.isfinite(y).all()
    y.backward(torch.randn_like(y))
    assert torch.isfinite(x.grad).all()


@EVERY_ROOT
def test_no_variance_gives_zero_and_leaves_the_other_samples_alone(root):
    sigma = covariance(4, 9)
    sigma[0] = 0
    y, whole = root(sigma), gradient(root, sigma)
    assert y[0].abs().max() == 0 and whole[0].abs().max() == 0
    torch.testing.assert_close(y[1:], root(sigma[1:]))
    assert whole[1].abs().max() > 0


@EVERY_ROOT
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_roots_are_float32_of_halves_and_under_autocast(root, dtype):
    sigma = covariance(4, 9, torch.float32)
    assert root(sigma.to(dtype)).dtype == torch.float32
    with torch.autocast("cpu", dtype=dtype):
        inside = root(sigma)
    assert torch.equal(inside, root(sigma))


@EVERY_ROOT
def test_an_empty_batch(root):
    assert root(torch.zeros(0, 4, 4)).shape == (0, 4, 4)
