"""The square root of a covariance: by Newton-Schulz steps, or exactly by eigen-decomposition."""

import torch
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.autograd import derived, two_modes
from wholeframe.ops.layout import as_given, wide


def dense_newton_schulz(sigma: Float[Tensor, "b d d"], steps: int) -> Float[Tensor, "b d d"]:
    """C = sqrt(tau) Y_N, with tau = tr Sigma, Y_0 = Sigma / tau, Z_0 = I (Li et al., iSQRT-COV, CVPR 2018).

        T = 1/2 (3 I - Z Y),    Y <- Y T,    Z <- T Z

    N is part of the function, not an accuracy: at d = 256 and 196 samples the relative error of the root is 0.70
    after three steps and 0.42 after five, and a trained network expects the result of its own N. Dividing by the trace
    makes the iteration converge; multiplying by its root (post-compensation) restores the magnitude.

    Args:
        sigma: symmetric positive semi-definite matrices.
        steps: N, at least 1.

    Returns:
        C in float32 or better; zero, with a zero gradient, where tau = 0.
    """
    with as_given(sigma):
        y, size, eye = _prepared(wide(sigma))
        z = eye
        for _ in range(steps):
            t = (3 * eye - z @ y) / 2
            y, z = y @ t, t @ z
        return size * y


def newton_schulz(sigma: Float[Tensor, "b d d"], steps: int) -> Float[Tensor, "b d d"]:
    """`dense_newton_schulz` without redundant products: the first Z is I, and the last Z is not needed."""
    with as_given(sigma):
        y, size, eye = _prepared(wide(sigma))
        if steps == 1:
            return size * torch.baddbmm(y, y, y, beta=1.5, alpha=-0.5)
        z = 1.5 * eye - 0.5 * y
        y = y @ z
        for _ in range(steps - 2):
            t = torch.baddbmm(eye, z, y, beta=1.5, alpha=-0.5)
            y, z = y @ t, t @ z
        return size * (y @ torch.baddbmm(eye, z, y, beta=1.5, alpha=-0.5))


def newton_schulz_macs(d: int, steps: int) -> int:
    """Multiply-adds of `newton_schulz` for one sample."""
    return max(3 * steps - 3, 1) * d**3


def eigen_root(sigma: Float[Tensor, "b d d"]) -> Float[Tensor, "b d d"]:
    """C = U diag(lambda^1/2) U^T of Sigma = U diag(lambda) U^T (Li et al., ICCV 2017), in float32 or better.

    The gradient of U contains 1 / (lambda_i - lambda_j), which is infinite for equal eigenvalues, and a covariance of
    fewer samples than variables always has equal ones. The gradient of the root does not contain it: with
    G' = U^T G U it is U (G'_ij / (lambda_i^1/2 + lambda_j^1/2)) U^T. Eigenvalues below d eps lambda_max are rounding
    errors and count as zero; where both eigenvalues are zero the root is not differentiable and the gradient is zero.
    """
    with as_given(sigma):
        return derived(_EigenRoot).apply(wide(sigma))[0]


def _prepared(
    sigma: Float[Tensor, "b d d"],
) -> tuple[Float[Tensor, "b d d"], Float[Tensor, "b 1 1"], Float[Tensor, "1 d d"]]:
    """Sigma / tau, sqrt(tau) and I; the first two are zero where tau is zero."""
    tau = sigma.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
    varies = tau > torch.finfo(sigma.dtype).tiny
    # Both branches of a `where` get a gradient, so the divisor is 1 instead of 0 in the branch not taken.
    safe = torch.where(varies, tau, 1)
    eye = torch.eye(sigma.shape[1], dtype=sigma.dtype, device=sigma.device)[None]
    return torch.where(varies, sigma / safe, 0), torch.where(varies, safe.sqrt(), 0), eye


@two_modes
class _EigenRoot(torch.autograd.Function):
    """C of C C = Sigma, and its eigenvectors and eigenvalues. Differentiated: C dC + dC C = dSigma."""

    generate_vmap_rule = True

    @staticmethod
    def forward(sigma: Float[Tensor, "b d d"]) -> tuple[Tensor, Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(sigma)
        smallest = sigma.shape[1] * torch.finfo(sigma.dtype).eps * values[:, -1:]
        roots = torch.where(values > smallest, values, 0).sqrt()
        return vectors * roots[:, None, :] @ vectors.transpose(-2, -1), vectors, roots

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*output)
        ctx.save_for_forward(*output)

    @staticmethod
    def tangents(ctx, dsigma):
        return _solved(dsigma, *ctx.saved_tensors), None, None

    @staticmethod
    def backward(ctx, *grads):
        return _solved(grads[0], *ctx.saved_tensors)


@two_modes
class _Lyapunov(torch.autograd.Function):
    """X of C X + X C = (G + G^T) / 2, by the eigenvalues of C; the derivatives solve the same equation."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        grad: Float[Tensor, "b d d"],
        root: Float[Tensor, "b d d"],
        vectors: Float[Tensor, "b d d"],
        roots: Float[Tensor, "b d"],
    ) -> Float[Tensor, "b d d"]:
        sums = roots[:, :, None] + roots[:, None, :]
        turned = vectors.transpose(-2, -1) @ (grad + grad.transpose(-2, -1)) @ vectors / 2
        return vectors @ torch.where(sums > 0, turned / torch.where(sums > 0, sums, 1), 0) @ vectors.transpose(-2, -1)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output, *inputs[1:])
        ctx.save_for_forward(output, *inputs[1:])

    @staticmethod
    def tangents(ctx, dgrad, droot, _dvectors, _droots):
        x, *of_root = ctx.saved_tensors
        change = 0 if droot is None else droot @ x + x @ droot
        return _solved((torch.zeros_like(x) if dgrad is None else dgrad) - change, *of_root)

    @staticmethod
    def backward(ctx, *grads):
        x, *of_root = ctx.saved_tensors
        h = _solved(grads[0], *of_root)
        return h, -(h @ x + x @ h), None, None


def _solved(grad: Tensor, root: Tensor, vectors: Tensor, roots: Tensor) -> Tensor:
    return derived(_Lyapunov).apply(grad, root, vectors, roots)
