"""The blocks as the references compute them, to compare their cost.

They replace peers that have no package (AlexHex7, CGNL, GSoP): dense definitions, written from the papers and the
published behaviour of the references, that use the weights of one of our blocks. They compute the same numbers and
serve only for comparison.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wholeframe import ops
from wholeframe.blocks import (
    CGNL,
    AttentionContext,
    ContextBlock,
    GSoPChannel,
    GSoPPosition,
    MeanContext,
    NonLocal,
    RowConv,
)
from wholeframe.blocks.context import GATES
from wholeframe.blocks.gsop import ROW_ACTS


def pairs_concatenated(block: NonLocal, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
    """Concatenation that builds every pair [theta_i; phi_j]: a tensor of b x 2d x n x k numbers."""
    theta, phi, value = block.project(x)
    n, k = theta.shape[1], phi.shape[1]
    pairs = torch.cat([theta.mT[..., None].expand(-1, -1, n, k), phi.mT[..., None, :].expand(-1, -1, n, k)], dim=1)
    assert block.w_f is not None
    weights = F.relu(F.conv2d(pairs, block.w_f.weight[..., None, None], block.w_f.bias))[:, 0] / k
    return _finish(block, x, weights @ value)


def matrix_of_pairs(block: NonLocal, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
    """A block of any kind that builds its n x k matrix of weights, as every peer does."""
    theta, phi, value = block.project(x)
    w_f = {} if block.w_f is None else {"w_f": block.w_f.weight[0], "beta": block.w_f.bias}
    return _finish(block, x, ops.pairwise_weights(theta, phi, block.kind, scale=block.scale, **w_f) @ value)


def _finish(block: NonLocal, x: Tensor, y: Tensor) -> Tensor:
    z = block.out(y).mT
    return x + (z if block.norm is None else block.norm(z)).unflatten(2, x.shape[2:])


def plain_context(block: ContextBlock, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
    """`ContextBlock` computed term by term from its equation, with the gradients of autograd."""
    positions = ops.to_positions(x)
    if isinstance(block.context, AttentionContext):
        context = torch.bmm(block.context.weights(x)[:, None], positions)[:, 0]
    else:
        context = positions.mean(dim=1) if isinstance(block.context, MeanContext) else block.context(x)
    everywhere = (..., *[None] * (x.ndim - 2))
    if block.multiply is not None:
        x = x * GATES[block.gate](block.multiply(context))[everywhere]
    return x if block.add is None else x + block.add(context)[everywhere]


def cgnl_in_a_loop(block: CGNL, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
    """CGNL with a dot product or Taylor series, one group after another, with its scalars as matrix products."""
    theta, phi, g = (F.conv1d(x.flatten(2), layer.weight[..., None]) for layer in (block.theta, block.phi, block.g))
    groups = []
    for t, p, v in zip(*(y.chunk(block.groups, dim=1) for y in (theta, phi, g)), strict=True):
        t_powers, p_powers = (_powers(block, y.flatten(1)) for y in (t, p))
        scalars = torch.bmm(p_powers, v.flatten(1)[:, :, None])
        groups.append(torch.bmm(scalars.mT, t_powers).view_as(t))
    z = F.conv1d(torch.cat(groups, dim=1), block.out.weight[..., None], groups=block.groups)
    return x + (z if block.norm is None else block.norm(z)).unflatten(2, x.shape[2:])


def _powers(block: CGNL, tokens: Float[Tensor, "b l"]) -> Float[Tensor, "b p l"]:
    """sqrt(c_p) tokens^p for p = 0 .. order of a Taylor series; the tokens themselves for a dot product."""
    if block.kernel == "dot":
        return tokens[:, None]
    coefficients = ops.taylor_coefficients(block.gamma, block.order)
    return torch.stack([c**0.5 * tokens.pow(p) for p, c in enumerate(coefficients)], dim=1)


def gsop_channel_as_released(block: GSoPChannel, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
    """Channel-wise GSoP with its centring matrix and its grouped convolution."""
    s = covariance_by_matrix(block.context.reduce(F.relu(ops.to_positions(x))))
    gates = GATES[block.gate](_rows_as_released(block.multiply, s))
    return x * gates[(..., *[None] * (x.ndim - 2))]


def gsop_position_as_released(block: GSoPPosition, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
    """Position-wise GSoP with its centring matrix and its grouped convolution."""
    v = block.reduce(ops.to_positions(F.relu(x))).unflatten(2, x.shape[2:])
    s = ops.dense_position_covariance(ops.adaptive_mean(v, block.size).flatten(2), block.centring)
    gates = GATES[block.gate](_rows_as_released(block.transform, s)).unflatten(1, (1, *block.size))
    return F.relu(x * ops.adaptive_mean(gates, x.shape[2:]))


def _rows_as_released(transform: RowConv, s: Float[Tensor, "b d d"]) -> Float[Tensor, "b c"]:
    assert transform.row_conv.bias is not None
    rows = row_conv_by_groups(transform.row_norm(s), transform.row_conv.weight, transform.row_conv.bias)
    return transform.expand(ROW_ACTS[transform.act](rows))


def covariance_by_matrix(x: Float[Tensor, "b d m"]) -> Float[Tensor, "b d d"]:
    """The covariance with its m x m centring matrix, built once per sample on every call: GSoP and fast-MPN-COV."""
    b, _, m = x.shape
    like = {"dtype": x.dtype, "device": x.device}
    centring = (-torch.ones(m, m, **like) / m / m + torch.eye(m, **like) / m).repeat(b, 1, 1)
    return x.bmm(centring).bmm(x.mT)


def row_conv_by_groups(
    s: Float[Tensor, "b d d"], weight: Float[Tensor, "rd 1 d"], bias: Float[Tensor, "rd"]
) -> Float[Tensor, "b rd"]:
    """GSoP's row-wise convolution as released: rows are channels of a column image, one group each."""
    return F.conv2d(s[..., None], weight[..., None], bias, groups=s.shape[1])[:, :, 0, 0]


def newton_schulz_as_released(sigma: Float[Tensor, "b d d"], steps: int = 5) -> Float[Tensor, "b d d"]:
    """iSQRT as fast-MPN-COV releases it: a hand-written backward pass, ten products per step; `steps` is at least 2."""
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
