"""GN(W_z y), which keeps W_z and y for the backward pass and not their product, which is as large as the map.

W_z is one matrix per group, so the product is a twenty-fifth of the block's work, and the backward pass repeats it.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.autograd import in_transform
from wholeframe.ops.backends import in_graph


def normalised_product(
    matrices: Float[Tensor, "... g c_per_group e"],
    y: Float[Tensor, "b g e n"],
    weight: Float[Tensor, "c"],
    bias: Float[Tensor, "c"],
    norm_groups: int,
    eps: float,
) -> Float[Tensor, "b c n"]:
    """The group norm of a product.

    Args:
        matrices: W_z, for all samples or one for each.
        y: the output of the operation, by groups of channels.
        weight, bias: of the norm.
        norm_groups, eps: of the norm.
    """
    derived = torch.is_grad_enabled() and not in_graph()
    # A graph decides by itself what it keeps; forward mode and torch.func have no use for what a backward pass keeps.
    if not derived or in_transform():
        return _definition(matrices, y, weight, bias, norm_groups, eps)
    return _NormalisedProduct.apply(matrices, y, weight, bias, norm_groups, eps)


def _definition(
    matrices: Tensor, y: Tensor, weight: Tensor, bias: Tensor, norm_groups: int, eps: float
) -> Float[Tensor, "b c n"]:
    return F.group_norm((matrices @ y).flatten(1, 2), norm_groups, weight, bias, eps)


class _NormalisedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, matrices, y, weight, bias, norm_groups, eps):
        z = (matrices @ y).flatten(1, 2)
        b, c, n = z.shape
        normalised, mean, rstd = torch.native_group_norm(z, weight, bias, b, c, n, norm_groups, eps)
        ctx.save_for_backward(matrices, y, weight, bias, mean, rstd)
        ctx.norm_groups, ctx.eps = norm_groups, eps
        return normalised

    @staticmethod
    def backward(ctx, *gradients):
        (dz,), needed = gradients, ctx.needs_input_grad[:4]
        matrices, y, weight, bias, mean, rstd = ctx.saved_tensors
        if torch.is_grad_enabled():  # they will be differentiated again, and are those of the definition
            inputs = matrices, y, weight, bias
            normalised = _definition(*inputs, ctx.norm_groups, ctx.eps)
            leaves = [x for x, of_x in zip(inputs, needed, strict=True) if of_x]
            found = iter(torch.autograd.grad(normalised, leaves, dz, create_graph=True))
            return *(next(found) if of_x else None for of_x in needed), None, None
        z = (matrices @ y).flatten(1, 2)
        dz, dweight, dbias = torch.ops.aten.native_group_norm_backward(
            dz.contiguous(), z, mean, rstd, weight, *z.shape, ctx.norm_groups, [any(needed[:2]), *needed[2:]]
        )
        dmatrices = dy = None
        if any(needed[:2]):
            dz = dz.unflatten(1, (matrices.shape[-3], -1))
            dmatrices = (dz @ y.mT).sum_to_size(matrices.shape) if needed[0] else None
            dy = matrices.mT @ dz if needed[1] else None
        return dmatrices, dy, dweight, dbias, None, None
