"""softmax(s x x^T) value for one chunk of queries at a time: plain matrix products, memory linear in positions.

The logits of one tensor with itself are symmetric, so each is computed once and used twice. No weights are kept for the
gradients; the backward pass computes them again.
"""

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.autograd import in_order
from wholeframe.ops.layout import as_given, wide
from wholeframe.ops.non_local.cost import chunk_size
from wholeframe.ops.non_local.dense import Kind, Scale, resolve_scale, weighted_sum


def symmetric(
    theta: Float[Tensor, "b n d"],
    phi: Float[Tensor, "b n d"],
    value: Float[Tensor, "b n v"],
    kind: Kind,
    *,
    scale: Scale,
    **_concatenation: Any,
) -> Float[Tensor, "b n v"]:
    """The softmax of half the logits, where theta is phi."""
    with as_given(theta):
        try:
            y, _ = _SymmetricAttention.apply(wide(theta), wide(value), resolve_scale(scale, theta.shape[-1]))
        except NotImplementedError:  # the chunks have no forward mode; the definition has
            return weighted_sum(theta, theta, value, kind, scale=scale)
        return y.to(value.dtype)


@in_order
class _SymmetricAttention(torch.autograd.Function):
    """y = softmax(s x x^T) value and the logarithms of its denominators, `(b, n, v)` and `(b, n, 1)`.

    Each chunk of queries is paired with its own keys and all later ones, and the transposed logits are those of the
    later queries. The running sums of the later queries are rescaled to a running maximum, as in an online softmax.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x, value, s):
        sums = _Sums(torch.zeros_like(value), torch.zeros_like(x[..., :1]), torch.full_like(x[..., :1], -torch.inf))
        done, w = [], chunk_size(x.shape[1])
        for i in range(0, x.shape[1], w):
            (y, y_later), (total, total_later), (top, top_later) = (_cut(part, w) for part in sums)
            logits = _logits(x, i, w, s)
            done.append(_add_keys(_Sums(y, total, top), logits, value[:, i:]))
            later = _Sums(y_later, total_later, top_later)
            sums = _add_keys(later, logits[:, :, w:].transpose(-2, -1), value[:, i : i + w])
        y, total, top = (torch.cat(parts, dim=1) for parts in zip(*done, strict=True))
        return y / total, top + total.log()

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, value, ctx.s = inputs
        ctx.save_for_backward(x, value, *output)

    @staticmethod
    def backward(ctx, *gradients):
        """With weights p = exp(logits - log C): dlogits_ij = p_ij (dy_i . value_j - dy_i . y_i + dlogC_i)."""
        dy, dlog_total = gradients
        x, value, y, log_total = ctx.saved_tensors
        mean = (dy * y).sum(dim=-1, keepdim=True) - dlog_total
        dx, dvalue = torch.zeros_like(x), torch.zeros_like(value)
        done, w = [], chunk_size(x.shape[1])
        for i in range(0, x.shape[1], w):
            logits = _logits(x, i, w, ctx.s)
            x_here, value_here, dy_here = (part[:, i : i + w] for part in (x, value, dy))
            (mean_here, mean_later), (log_here, log_later) = _cut(mean[:, i:], w), _cut(log_total[:, i:], w)
            dy_later = dy[:, i + w :]
            # Weights of this chunk's queries over all keys from i on, and (transposed) of later queries over its keys.
            rows, columns = _exp(logits - log_here), _exp(logits[:, :, w:] - log_later.transpose(-2, -1))
            dlogits = (dy_here @ value[:, i:].transpose(-2, -1)).sub_(mean_here).mul_(rows)
            dcolumns = (value_here @ dy_later.transpose(-2, -1)).sub_(mean_later.transpose(-2, -1)).mul_(columns)
            # x is on both sides of the logits, so the square of the chunk with itself needs its transpose as well.
            square, rest = dlogits[:, :, :w], dlogits[:, :, w:]
            square += square.transpose(-2, -1).clone()
            rest += dcolumns
            (dx_here, dx), dvalue = _cut(dx, w), torch.baddbmm(dvalue, rows.transpose(-2, -1), dy_here)
            dvalue_here, dvalue = _cut(dvalue, w)
            done.append((dx_here + ctx.s * dlogits @ x[:, i:], torch.baddbmm(dvalue_here, columns, dy_later)))
            dx = torch.baddbmm(dx, rest.transpose(-2, -1), ctx.s * x_here)
        dx, dvalue = (torch.cat(parts, dim=1) for parts in zip(*done, strict=True))
        return dx, dvalue, None


class _Sums(NamedTuple):
    """Running sums of some queries: of exp(logits - top) value and of exp(logits - top); top is the largest logit."""

    y: Float[Tensor, "b q v"]
    total: Float[Tensor, "b q 1"]
    top: Float[Tensor, "b q 1"]


def _add_keys(sums: _Sums, logits: Float[Tensor, "b q k"], value: Float[Tensor, "b k v"]) -> _Sums:
    top = torch.maximum(sums.top, logits.amax(dim=2, keepdim=True))
    shrink, weights = (sums.top - top).exp(), _exp(logits - top)
    y = torch.baddbmm(sums.y * shrink, weights, value)
    return _Sums(y, sums.total * shrink + weights.sum(dim=2, keepdim=True), top)


def _logits(x: Float[Tensor, "b n c"], i: int, w: int, s: float) -> Float[Tensor, "b chunk rest"]:
    """Logits of the w queries from i on with the keys from i on."""
    return s * x[:, i : i + w] @ x[:, i:].transpose(-2, -1)


def _exp(logits: Float[Tensor, "b q k"]) -> Float[Tensor, "b q k"]:
    """In-place `exp` of non-positive logits, clamped so that neither a result nor a product of two is subnormal.

    Subnormal arithmetic is slow, and the clamped weights are below rounding.
    """
    return logits.clamp_min_(math.log(torch.finfo(logits.dtype).tiny) / 2).exp_()


def _cut(rest: Float[Tensor, "b rest d"], w: int) -> tuple[Float[Tensor, "b chunk d"], Float[Tensor, "b later d"]]:
    return rest[:, :w], rest[:, w:]
