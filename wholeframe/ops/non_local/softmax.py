"""Fused attention: y = softmax(s theta phi^T) value without the q x k matrix, in memory linear in positions."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

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
    y = F.scaled_dot_product_attention(theta[:, None], phi[:, None], value[:, None], scale=s)
    # Squeezing and slicing are views in the backward pass too, where selecting would fill a map of zeros.
    return y.squeeze(1)[..., :v]


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
