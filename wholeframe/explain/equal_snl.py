"""The simplified non-local block that equals a non-local block whose query is the same everywhere.

    z_i = x_i + S (W_z sum_j softmax_j(s theta . phi_j) g_j + b_z) + B          S, B of the norm, s of the scale

With one theta for all positions the logits are linear in x_j, and weights that sum to one commute with linear maps:

    w_k = s W_phi^T theta,    W_v = S W_z W_g,    b_v = S (W_z b_g + b_z) + B
    z_i = x_i + W_v sum_j softmax_j(w_k . x_j) x_j + b_v

Source: the identity follows from equation 1 of Wang et al. (2018) and the two forms of the simplified block in section
3.2 of Cao et al. (GCNet, 2019). Only `gaussian` (theta_i = phi_i = x_i) and `embedded_gaussian` have it.
"""

import copy

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from wholeframe import ops
from wholeframe.blocks.context import SimplifiedNonLocal
from wholeframe.blocks.contexts import AttentionContext
from wholeframe.blocks.frozen_norm import Affine
from wholeframe.blocks.non_local import NonLocal
from wholeframe.blocks.plain import plain
from wholeframe.blocks.transforms import LinearTransform

WHY = {
    "euclidean_gaussian": "its logits have |phi_j|^2, which is quadratic in x_j, and those of SNL are linear",
    "dot": "its weights are signed and do not sum to one, and those of SNL are a softmax",
    "concatenation": "its weights do not sum to one, and those of SNL are a softmax",
}


def refuse_unequal(block: object, site: str) -> None:
    """Raise ValueError for a block that no simplified non-local block equals, whatever its query."""
    here = f"the block at {site!r}"
    if not isinstance(block, NonLocal):
        raise ValueError(f"{here} is a {type(block).__name__}, and only a NonLocal has a query to replace")
    if block.kind in WHY:
        raise ValueError(
            f"{here} has kind={block.kind!r}, and no SNL equals it at any query: {WHY[block.kind]}; the kinds "
            "'gaussian' and 'embedded_gaussian' have one"
        )
    if block.keys.pooled:
        raise ValueError(
            f"{here} has pool={block.pool!r}, and no SNL equals it: SNL sums over all positions and pools none; train "
            "an SNL in its place instead"
        )
    if block.restricted:
        raise ValueError(
            f"{here} restricts the keys of a query to its own part of the clip, and the one sum of SNL is over all of "
            "it; only attend_over='spacetime' without groups of frames has an equal SNL"
        )
    if not plain(block.theta, block.phi, block.g, block.out, block.norm):
        raise ValueError(
            f"a tool has changed a layer of {here} (an adapter, a mask, a quantised weight), so its weights do not say "
            "what it computes; merge or undo that first"
        )
    if isinstance(block.norm, _BatchNorm) and block.norm.running_mean is None:
        raise ValueError(
            f"the batch norm of {here} has no running statistics, so what it adds depends on the batch; build it with "
            "track_running_stats=True"
        )


@torch.no_grad()
def snl_at(block: NonLocal, theta: Float[Tensor, "d"]) -> SimplifiedNonLocal:
    """The simplified block that equals this one, in eval mode, where every query is `theta`.

    Args:
        block: a block that `refuse_unequal` passes.
        theta: the embedded query; x itself for kind `gaussian`.

    Returns:
        A block with weights of its own, computed in float64 and rounded once to the dtype of the given ones, on their
        device; in the mode of the block.
    """
    given = block.g.weight
    layers = [None if m is None else copy.deepcopy(m).cpu().double() for m in (block.phi, block.g, block.out)]
    phi, g, out = layers
    assert g is not None and out is not None
    query = ops.resolve_scale(block.scale, len(theta)) * theta.cpu().double()
    gain, shift = _affine(block)
    b_g = out.weight @ g.bias if g.bias is not None else 0.0
    b_z = out.bias if out.bias is not None else 0.0

    snl = SimplifiedNonLocal(block.channels)
    context, transform = snl.context, snl.add
    assert isinstance(context, AttentionContext) and isinstance(transform, LinearTransform)
    snl.double()
    context.logits.weight.copy_(query if phi is None else query @ phi.weight)
    context.logits.bias.zero_()  # A softmax does not depend on a common offset, such as s theta . b_phi.
    transform.expand.weight.copy_(gain[:, None] * (out.weight @ g.weight))
    transform.expand.bias.copy_(gain * (b_g + b_z) + shift)
    snl.requires_grad_(any(parameter.requires_grad for parameter in block.parameters()))
    return snl.to(given.device, given.dtype).train(block.training)


def _affine(block: NonLocal) -> tuple[Tensor, Tensor]:
    """S and B of the norm in eval mode, in float64: 1 and 0 without one."""
    norm = block.norm
    if norm is None:
        return torch.ones(block.channels, dtype=torch.float64), torch.zeros(block.channels, dtype=torch.float64)
    norm = copy.deepcopy(norm).cpu().double()
    affine = Affine.folded(norm) if isinstance(norm, _BatchNorm) else norm
    return affine.weight, affine.bias
