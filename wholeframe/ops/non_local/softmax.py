"""Fused attention: y = softmax(s theta phi^T) value without the q x k matrix, in memory linear in positions."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]

from wholeframe.ops.autograd import in_order
from wholeframe.ops.layout import as_given, wide
from wholeframe.ops.linear import gram
from wholeframe.ops.non_local.dense import Kind, Scale, resolve_scale


def fused(
    theta: Float[Tensor, "b q d"],
    phi: Float[Tensor, "b k d"],
    value: Float[Tensor, "b k v"],
    kind: Kind,
    *,
    scale: Scale,
    **_concatenation: Any,
) -> Float[Tensor, "b q v"]:
    """Torch's fused attention.

    Its kernels accumulate logits and softmax in float32 for half inputs. They need equal widths and a unit last
    stride, and silently build the whole matrix otherwise: so the narrower side is padded with zeros.
    """
    d, v = theta.shape[-1], value.shape[-1]
    s = resolve_scale(scale, d)
    if d != v or not theta.stride(-1) == phi.stride(-1) == value.stride(-1) == 1:
        theta, phi, value = (_for_kernel(y, max(d, v)) for y in (theta, phi, value))
    try:
        y = F.scaled_dot_product_attention(theta[:, None], phi[:, None], value[:, None], scale=s)
    except NotImplementedError:  # the kernel has no forward mode; the definition has
        return _definition(theta, phi, value, s)[..., :v]
    # Squeezing and slicing are views in the backward pass too, where selecting would fill a map of zeros.
    y = y.squeeze(1)
    if torch.is_grad_enabled() and not (torch.compiler.is_compiling() or is_tracing()):
        y = _TwiceDifferentiable.apply(theta, phi, value, y, s)
    return y[..., :v]


@in_order
class _TwiceDifferentiable(torch.autograd.Function):
    """y of fused attention, whose kernel has first derivatives alone.

    A gradient that is differentiated again (`create_graph=True`, `torch.func.grad`) is the one of the definition, which
    takes memory for its matrix. Any other gradient goes to the kernel through y, at no cost.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(theta, phi, value, y, s):
        return y.view_as(y)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:3])
        ctx.s = inputs[4]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, *gradients):
        (dy,) = gradients
        if dy is None or not torch.is_grad_enabled():
            return None, None, None, dy, None
        theta, phi, value = ctx.saved_tensors
        with as_given(theta):
            p = (ctx.s * wide(theta) @ wide(phi).transpose(-2, -1)).softmax(dim=-1)
            dy = wide(dy)
            dp = dy @ wide(value).transpose(-2, -1)
            dlogits = ctx.s * p * (dp - (p * dp).sum(dim=-1, keepdim=True))
            found = dlogits @ wide(phi), dlogits.transpose(-2, -1) @ wide(theta), p.transpose(-2, -1) @ dy
        return *(d.type_as(x) for d, x in zip(found, (theta, phi, value), strict=True)), None, None


def _definition(
    theta: Float[Tensor, "b q d"], phi: Float[Tensor, "b k d"], value: Float[Tensor, "b k v"], s: float
) -> Float[Tensor, "b q v"]:
    with as_given(theta):
        p = (s * wide(theta) @ wide(phi).transpose(-2, -1)).softmax(dim=-1)
        return (p @ wide(value)).to(value.dtype)


def fused_distances(
    theta: Float[Tensor, "b q d"],
    phi: Float[Tensor, "b k d"],
    value: Float[Tensor, "b k v"],
    kind: Kind,
    *,
    scale: Scale,
    **_concatenation: Any,
) -> Float[Tensor, "b q v"]:
    """Fused attention by squared distances, which need the digits that half precision lacks."""
    with as_given(theta):
        products = distances_as_products(wide(theta), wide(phi), resolve_scale(scale, theta.shape[-1]))
        return fused(*products, wide(value), kind, scale=1.0).to(value.dtype)


def distances_as_products(
    theta: Float[Tensor, "b q d"], phi: Float[Tensor, "b k d"], s: float
) -> tuple[Float[Tensor, "b q d1"], Float[Tensor, "b k d1"]]:
    """-s/2 |theta - phi|^2 as one inner product, up to a term per query, which the softmax cancels.

    Distances do not change when both sides are shifted; shifting by the mean of the keys keeps the digits that a common
    offset would cost. A few eps times the largest squared norm after the shift remain as an error of the logits, where
    the definition errs by a few eps times the squared distance itself.
    """
    mean = phi.mean(dim=1, keepdim=True)
    theta, phi = theta - mean, phi - mean
    one = torch.ones_like(theta[..., :1])
    square = phi.square().sum(dim=-1, keepdim=True)
    return torch.cat([s * theta, one], dim=-1), torch.cat([phi, -s / 2 * square], dim=-1)


def by_gram_matrix(
    theta: Float[Tensor, "b n d"],
    phi: Float[Tensor, "b n d"],
    value: Float[Tensor, "b n v"],
    kind: Kind,
    *,
    scale: Scale,
    **_concatenation: Any,
) -> Float[Tensor, "b n v"]:
    """The definition where theta is phi: three quarters of the logits, and one product less in their gradient."""
    s = resolve_scale(scale, theta.shape[-1])
    with as_given(theta):
        logits = gram(wide(theta))
        return ((logits if s == 1 else s * logits).softmax(dim=-1) @ wide(value)).to(value.dtype)


def _for_kernel(y: Float[Tensor, "b n _"], width: int) -> Float[Tensor, "b n width"]:
    if y.shape[-1] < width:
        return F.pad(y, (0, width - y.shape[-1]))
    return y if y.stride(-1) == 1 else y.contiguous()
