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
