"""Attention without its matrix of weights, or with as much of it as is cheap: y = softmax(s theta phi^T) value.

Fused kernels serve where they are at their best. On a CPU in float32 they are not for values narrower than the keys
(they want equal widths), and they do not know that the logits of one tensor with itself are symmetric.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from wholeframe.ops.backends import Impl, Sizes, never
from wholeframe.ops.layout import as_given, wide
from wholeframe.ops.linear import gram, gram_macs
from wholeframe.ops.non_local.chunked import STRIP, CrossAttention, SelfAttention, strip_width

PASS = 100  # multiply-adds for every logit, in the time of a pass over them

Scale = float | Literal["sqrt_dim"] | None


def resolve_scale(scale: Scale, d: int) -> float:
    """The number that `scale` stands for with `d` channels."""
    if scale is None:
        return 1.0
    return d**-0.5 if scale == "sqrt_dim" else float(scale)


def distance_as_product(theta, phi, s):
    """-s/2 |theta - phi|^2 as one inner product, up to a term per query, which a softmax cancels.

    Distances do not change when both sides are shifted; shifting by the keys' mean keeps digits that a common
    offset would eat.
    """
    mean = phi.mean(dim=1, keepdim=True)
    theta, phi = theta - mean, phi - mean
    one = torch.ones_like(theta[..., :1])
    square = phi.square().sum(dim=-1, keepdim=True)
    return torch.cat([s * theta, one], dim=-1), torch.cat([phi, -s / 2 * square], dim=-1)


# ------------------------------------------------------------------------------------------------------------ ways


def _sdpa(theta, phi, value, kind, *, scale, w_f, beta):
    """softmax(theta phi^T) value without the q x k matrix.

    The fused kernels accumulate logits and softmax in float32 for half inputs. They need equal widths and a unit
    last stride, and silently build the whole matrix otherwise: so the narrower side is padded with zeros.
    """
    if kind == "euclidean_gaussian":
        # The squared norms need the digits that half precision lacks.
        with as_given(theta):
            theta, phi = distance_as_product(wide(theta), wide(phi), resolve_scale(scale, theta.shape[-1]))
            return _fused(theta, phi, wide(value), 1.0).to(value.dtype)
    return _fused(theta, phi, value, resolve_scale(scale, theta.shape[-1]))


def _fused(theta, phi, value, s):
    v = value.shape[-1]
    width = max(theta.shape[-1], v)
    theta, phi, value = (_of_width(x, width) for x in (theta, phi, value))
    y = F.scaled_dot_product_attention(theta[:, None], phi[:, None], value[:, None], scale=s)
    return y.squeeze(1)[..., :v]  # a view again in the backward pass, which selecting fills a map of zeros for


def _of_width(x, width):
    if x.shape[-1] < width:
        return F.pad(x, (0, width - x.shape[-1]))
    return x if x.stride(-1) == 1 else x.contiguous()


def _in_strips(theta, phi, value, kind, *, scale, w_f, beta):
    """The definition for some queries at a time. Keeps the narrower values that fused kernels want padded."""
    s = resolve_scale(scale, theta.shape[-1])
    with as_given(theta):
        dtype, theta, phi, value = value.dtype, wide(theta), wide(phi), wide(value)
        if kind == "euclidean_gaussian":
            (theta, phi), s = distance_as_product(theta, phi, s), 1.0
        return CrossAttention.apply(theta, phi, value, s).to(dtype)


def _symmetric(theta, phi, value, kind, *, scale, w_f, beta):
    """In strips, with half the logits: theta is phi."""
    with as_given(theta):
        y, _ = SelfAttention.apply(wide(theta), wide(value), resolve_scale(scale, theta.shape[-1]))
        return y.to(value.dtype)


def _gram(theta, phi, value, kind, *, scale, w_f, beta):
    """The definition, with three quarters of the logits and one product less in their gradient: theta is phi."""
    s = resolve_scale(scale, theta.shape[-1])
    with as_given(theta):
        logits = gram(wide(theta))
        return ((logits if s == 1 else s * logits).softmax(dim=-1) @ wide(value)).to(value.dtype)


# ------------------------------------------------------------------------------------------------------- their cost


def both_products(s: Sizes) -> int:
    return s.q * s.k * (s.d + s.v)


def distances(s: Sizes) -> int:
    """The keys' squared norms are one more channel of the first product."""
    return s.q * s.k * (s.d + 1 + s.v)


def _half_of_logits(s: Sizes) -> int:
    """Every strip of queries with itself and what comes after it; all pairs with the values."""
    strip = strip_width(s.k)
    logits = sum(min(strip, s.k - i) * (s.k - i) for i in range(0, s.k, strip))
    return logits * s.d + s.q * s.k * s.v


def _most_of_logits(s: Sizes) -> int:
    return gram_macs(s.k, s.d) + s.q * s.k * s.v


def _frozen_by_tracing(*_inputs: Tensor) -> str | None:
    if torch.compiler.is_compiling() or torch.compiler.is_exporting():
        return "its strips are counted in Python, and a graph would keep their number; leave backend='auto'"
    return None


def _two_tensors(*inputs: Tensor) -> str | None:
    if inputs and inputs[0] is not inputs[1]:
        return "its queries are its keys, and here they are two tensors; leave backend='auto'"
    return None


def _symmetric_refused(*inputs: Tensor) -> str | None:
    return _two_tensors(*inputs) or _frozen_by_tracing(*inputs)


def _gradients(inputs: tuple[Tensor, ...]) -> bool:
    return torch.is_grad_enabled() and any(x.requires_grad for x in inputs)


def _fused_slowness(s: Sizes, *inputs: Tensor) -> float:
    """Zeros up to equal widths are multiplied as well, and the backward pass computes the logits anew: five products
    where the dense way has four."""
    return 2 * max(s.d, s.v) / (s.d + s.v) * (7 / 6 if _gradients(inputs) else 1)


def _strips_slowness(s: Sizes, *inputs: Tensor) -> float:
    """A strip leaves the registers between its products, which fused kernels spare."""
    if _fused_at_their_best(inputs):
        return math.inf
    return 1.15 * ((4 * s.d + 3 * s.v) / (3 * (s.d + s.v)) if _gradients(inputs) else 1)


def _symmetric_slowness(s: Sizes, *inputs: Tensor) -> float:
    """Every strip passes once over all that later positions have seen, and logits are used in two ways."""
    if _fused_at_their_best(inputs) or s.q != s.k:
        return math.inf
    return 1.05 * (1 + STRIP / s.k) + PASS / s.d


def matrix_slowness(s: Sizes, *inputs: Tensor) -> float:
    """Out of the question where the matrix outgrows what it is made of: memory would be linear no longer."""
    return math.inf if _fused_at_their_best(inputs) or s.q * s.k > s.q * s.d + s.k * (s.d + s.v) else 1.05


def _gram_slowness(s: Sizes, *inputs: Tensor) -> float:
    """Its quarters are put together in one pass more. Of the three products of the gradients one is spared."""
    if s.q != s.k:
        return math.inf
    return matrix_slowness(s, *inputs) * (0.9 if _gradients(inputs) else 0.92 + PASS / s.d + 20 / s.k)


def _fused_at_their_best(inputs: tuple[Tensor, ...]) -> bool:
    """On other devices than a CPU, and in half precision."""
    return any(
        x.device.type != "cpu" or x.dtype.itemsize < 4 or torch.is_autocast_enabled(x.device.type) for x in inputs
    )


SOFTMAX = {
    "sdpa": Impl(_sdpa, never, both_products, _fused_slowness),
    "strips": Impl(_in_strips, _frozen_by_tracing, both_products, _strips_slowness),
}
SELF_SOFTMAX = {
    **SOFTMAX,
    "symmetric": Impl(_symmetric, _symmetric_refused, _half_of_logits, _symmetric_slowness),
    "gram": Impl(_gram, _two_tensors, _most_of_logits, _gram_slowness),
}
EUCLIDEAN = {
    "sdpa": Impl(_sdpa, never, distances, _fused_slowness),
    "strips": Impl(_in_strips, _frozen_by_tracing, distances, _strips_slowness),
}
