"""The square root of a covariance: by Newton-Schulz steps, or exactly by its eigenvalues."""

import torch
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.layout import as_given, wide


def dense_newton_schulz(sigma: Float[Tensor, "b d d"], steps: int) -> Float[Tensor, "b d d"]:
    """C = sqrt(tau) Y_N, with tau = tr Sigma, Y_0 = Sigma / tau, Z_0 = I (Li et al., iSQRT-COV, CVPR 2018).

        T = 1/2 (3 I - Z Y),    Y <- Y T,    Z <- T Z

    N is part of the function and no accuracy: at d = 256 and 196 samples the root is off by 0.70 after three steps
    and 0.42 after five, and a network is trained with what it got. Dividing by the trace makes the iteration
    converge; multiplying by its root (post-compensation) gives the magnitude back. In float32 or better.
    A covariance without variance, tau = 0, gives zero, with a gradient of zero.
    """
    with as_given(sigma):
        y, size, eye = _prepared(wide(sigma))
        z = eye
        for _ in range(steps):
            t = (3 * eye - z @ y) / 2
            y, z = y @ t, t @ z
        return size * y


def newton_schulz(sigma: Float[Tensor, "b d d"], steps: int) -> Float[Tensor, "b d d"]:
    """`dense_newton_schulz` without the products that are known: the first Z is I, the last is not needed."""
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

    The gradient of U has 1 / (lambda_i - lambda_j), infinite for equal eigenvalues, which a covariance of fewer
    samples than variables always has. That of the root has not: with G' = U^T G U it is
    U (G'_ij / (lambda_i^1/2 + lambda_j^1/2)) U^T, since the differences cancel. Eigenvalues below d eps lambda_max
    are rounding errors of zero and count as zero; where both are, the root has no derivative and gets zero.
    """
    with as_given(sigma):
        return _EigenRoot.apply(wide(sigma))


def _prepared(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sigma / tau, sqrt(tau) and I; all-zero where there is no trace to divide by."""
    tau = sigma.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
    varies = tau > torch.finfo(sigma.dtype).tiny
    # Both branches of a `where` have a gradient, so the divisor is one, not zero, in the branch not taken.
    safe = torch.where(varies, tau, 1)
    eye = torch.eye(sigma.shape[1], dtype=sigma.dtype, device=sigma.device)[None]
    return torch.where(varies, sigma / safe, 0), torch.where(varies, safe.sqrt(), 0), eye


class _EigenRoot(torch.autograd.Function):
    """C of C C = Sigma. Differentiated: C dC + dC C = dSigma."""

    @staticmethod
    def forward(ctx, sigma: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(sigma)
        smallest = sigma.shape[1] * torch.finfo(sigma.dtype).eps * values[:, -1:]
        roots = torch.where(values > smallest, values, 0).sqrt()
        root = vectors * roots[:, None, :] @ vectors.mT
        ctx.save_for_backward(root, vectors, roots)
        return root

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> Tensor:
        return _Lyapunov.apply(grad_outputs[0], *ctx.saved_tensors)


class _Lyapunov(torch.autograd.Function):
    """X of C X + X C = (G + G^T) / 2, by the eigenvalues of C; the equation is its own derivative."""

    @staticmethod
    def forward(ctx, grad: Tensor, root: Tensor, vectors: Tensor, roots: Tensor) -> Tensor:
        sums = roots[:, :, None] + roots[:, None, :]
        turned = vectors.mT @ (grad + grad.mT) @ vectors / 2
        x = vectors @ torch.where(sums > 0, turned / torch.where(sums > 0, sums, 1), 0) @ vectors.mT
        ctx.save_for_backward(x, root, vectors, roots)
        return x

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, *of_root = ctx.saved_tensors
        h = _Lyapunov.apply(grad_outputs[0], *of_root)
        return h, -(h @ x + x @ h), None, None
