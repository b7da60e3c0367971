"""What a block would cost if it were written down as the references write it.

Stand-ins for peers that have no package (AlexHex7, CGNL, GSoP): dense definitions written from the papers and the
references' published behaviour, on the weights of one of our blocks. They compute the same numbers; nobody should
use them.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wholeframe import ops
from wholeframe.blocks import CGNL, NonLocal


def pairs_concatenated(block: NonLocal, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
    """Concatenation with every pair [theta_i; phi_j] written out: a tensor of b x 2d x n x k numbers."""
    theta, phi, value = block.project(x)
    n, k = theta.shape[1], phi.shape[1]
    pairs = torch.cat([theta.mT[..., None].expand(-1, -1, n, k), phi.mT[..., None, :].expand(-1, -1, n, k)], dim=1)
    assert block.w_f is not None
    weights = F.relu(F.conv2d(pairs, block.w_f.weight[..., None, None], block.w_f.bias))[:, 0] / k
    return _finish(block, x, weights @ value)


def matrix_of_pairs(block: NonLocal, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
    """Any kind with its n x k matrix of weights, as every peer computes it."""
    theta, phi, value = block.project(x)
    w_f = {} if block.w_f is None else {"w_f": block.w_f.weight[0], "beta": block.w_f.bias}
    return _finish(block, x, ops.pairwise_weights(theta, phi, block.kind, scale=block.scale, **w_f) @ value)


def _finish(block: NonLocal, x: Tensor, y: Tensor) -> Tensor:
    z = block.out(y).mT
    return x + (z if block.norm is None else block.norm(z)).unflatten(2, x.shape[2:])


def cgnl_in_a_loop(block: CGNL, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
    """CGNL with a dot product, one group after the other, the scalar as a product of a row and a column."""
    theta, phi, g = (F.conv1d(x.flatten(2), layer.weight[..., None]) for layer in (block.theta, block.phi, block.g))
    groups = []
    for t, p, v in zip(*(y.chunk(block.groups, dim=1) for y in (theta, phi, g)), strict=True):
        scalar = torch.bmm(p.flatten(1)[:, None], v.flatten(1)[:, :, None])
        groups.append(torch.bmm(scalar, t.flatten(1)[:, None]).view_as(t))
    z = F.conv1d(torch.cat(groups, dim=1), block.out.weight[..., None], groups=block.groups)
    return x + (z if block.norm is None else block.norm(z)).unflatten(2, x.shape[2:])


def covariance_by_matrix(x: Float[Tensor, "b d m"]) -> Float[Tensor, "b d d"]:
    """The covariance with its centring matrix, m x m, built anew and once per sample, as GSoP and fast-MPN-COV do."""
    b, _, m = x.shape
    centring = (-torch.ones(m, m, device=x.device) / m / m + torch.eye(m, device=x.device) / m).repeat(b, 1, 1)
    return x.bmm(centring).bmm(x.mT)


def row_conv_by_groups(
    s: Float[Tensor, "b d d"], weight: Float[Tensor, "rd 1 d"], bias: Float[Tensor, "rd"]
) -> Float[Tensor, "b rd"]:
    """GSoP's row-wise convolution as released: rows are channels of a column image, one group each."""
    return F.conv2d(s[..., None], weight[..., None], bias, groups=s.shape[1])[:, :, 0, 0]


def newton_schulz_as_released(sigma: Float[Tensor, "b d d"], steps: int = 5) -> Float[Tensor, "b d d"]:
    """iSQRT as fast-MPN-COV releases it: a backward pass written by hand, ten products a step, from two steps on."""
    return _NewtonSchulz.apply(sigma, steps)


class _NewtonSchulz(torch.autograd.Function):
    """The recursion of `ops.newton_schulz` with every Y and Z kept, and its gradient for a symmetric Sigma.

    With L_Y and L_Z the gradients in Y and Z of a step, from the last to the first:

        L_Y <- 1/2 (L_Y (3 I - Y Z) - Z L_Z Z - Z Y L_Y),    L_Z <- 1/2 ((3 I - Y Z) L_Z - Y L_Y Y - L_Z Z Y)
    """

    @staticmethod
    def forward(ctx, sigma: Tensor, steps: int) -> Tensor:
        b, d, _ = sigma.shape
        eye3 = 3 * torch.eye(d, dtype=sigma.dtype, device=sigma.device).repeat(b, 1, 1)
        tau = (sigma * eye3).sum(dim=(1, 2)) / 3
        a = sigma / tau.view(b, 1, 1).expand_as(sigma)
        z = 0.5 * (eye3 - a)
        y = a.bmm(z)
        kept = [(y, z)]
        for _ in range(steps - 2):
            t = 0.5 * (eye3 - z.bmm(y))
            y, z = y.bmm(t), t.bmm(z)
            kept.append((y, z))
        root = 0.5 * y.bmm(eye3 - z.bmm(y))
        ctx.save_for_backward(sigma, a, tau, root, eye3, *(tensor for pair in kept for tensor in pair))
        return root * tau.sqrt().view(b, 1, 1).expand_as(sigma)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (grad,), (sigma, a, tau, root, eye3, *kept) = grad_outputs, ctx.saved_tensors
        b = sigma.shape[0]
        scaled = grad * tau.sqrt().view(b, 1, 1).expand_as(grad)
        *before, y, z = kept
        yz, zy = y.bmm(z), z.bmm(y)
        l_y = 0.5 * (scaled.bmm(eye3 - yz) - zy.bmm(scaled))
        l_z = -0.5 * y.bmm(scaled).bmm(y)
        while before:
            *before, y, z = before
            yz, zy = eye3 - y.bmm(z), z.bmm(y)
            l_y, l_z = (
                0.5 * (l_y.bmm(yz) - z.bmm(l_z).bmm(z) - zy.bmm(l_y)),
                0.5 * (yz.bmm(l_z) - y.bmm(l_y).bmm(y) - l_z.bmm(zy)),
            )
        l_a = 0.5 * (l_y.bmm(eye3 - a) - l_z - a.bmm(l_y))
        along = (grad * root).sum(dim=(1, 2)) / (2 * tau.sqrt()) - (l_a * sigma).sum(dim=(1, 2)) / tau**2
        result = l_a / tau.view(b, 1, 1)
        for sample in range(b):
            result[sample] += along[sample] * eye3[sample] / 3
        return result, None
