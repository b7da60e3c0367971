"""softmax(s theta phi^T) value for a strip of queries at a time: memory linear in positions, in plain matrix products.

No weights are kept for gradients; the backward pass computes them again. Where queries and keys are one tensor x, the
logits are symmetric: `SelfAttention` computes those of a query and later keys alone, and uses each twice.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

STRIP = 192  # of queries; from 128 to 512 a pass takes as long


def strip_width(queries: int) -> int:
    """Of how many queries weights are held at a time: about `STRIP`, and the last strip is no rest."""
    return math.ceil(queries / max(round(queries / STRIP), 1))


class CrossAttention(torch.autograd.Function):
    """softmax(s theta phi^T) value, `(b, q, v)`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(theta, phi, value, s):
        strips = theta.split(strip_width(theta.shape[1]), dim=1)
        return torch.cat([_softmax(strip, phi, s) @ value for strip in strips], dim=1)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, ctx.s = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx, *gradients):
        (dy,) = gradients
        theta, phi, value = ctx.saved_tensors
        dtheta, dphi, dvalue = [], torch.zeros_like(phi), torch.zeros_like(value)
        strips = (each.split(strip_width(theta.shape[1]), dim=1) for each in (theta, dy))
        for strip, d in zip(*strips, strict=True):
            weights = _softmax(strip, phi, ctx.s)
            dvalue = torch.baddbmm(dvalue, weights.mT, d)
            dweights = d @ value.mT
            mean = (dweights * weights).sum(dim=-1, keepdim=True)
            dlogits = (dweights - mean).mul_(weights)
            dtheta.append(ctx.s * dlogits @ phi)
            dphi = torch.baddbmm(dphi, dlogits.mT, ctx.s * strip)
        return torch.cat(dtheta, dim=1), dphi, dvalue, None


class SelfAttention(torch.autograd.Function):
    """y = softmax(s x x^T) value and the logarithms of its denominators, `(b, n, v)` and `(b, n, 1)`.

    A strip of queries looks at itself and all later positions, and these look back at it by the same logits turned.
    What the later ones have seen so far travels along, as in an online softmax.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x, value, s):
        seen = _Seen(torch.zeros_like(value), torch.zeros_like(x[..., :1]), torch.full_like(x[..., :1], -torch.inf))
        done, w = [], strip_width(x.shape[1])
        for i in range(0, x.shape[1], w):
            (y, y_later), (total, total_later), (top, top_later) = (_cut(part, w) for part in seen)
            logits = _logits(x, i, w, s)
            done.append(_look(_Seen(y, total, top), logits, value[:, i:]))
            later = _Seen(y_later, total_later, top_later)
            seen = _look(later, logits[:, :, w:].mT, value[:, i : i + w])
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
        done, w = [], strip_width(x.shape[1])
        for i in range(0, x.shape[1], w):
            logits = _logits(x, i, w, ctx.s)
            x_here, value_here, dy_here = (part[:, i : i + w] for part in (x, value, dy))
            (mean_here, mean_later), (log_here, log_later) = _cut(mean[:, i:], w), _cut(log_total[:, i:], w)
            dy_later = dy[:, i + w :]
            looking, seen = _exp(logits - log_here), _exp(logits[:, :, w:] - log_later.mT)
            dlogits = (dy_here @ value[:, i:].mT).sub_(mean_here).mul_(looking)
            dseen = (value_here @ dy_later.mT).sub_(mean_later.mT).mul_(seen)
            # x is on both sides of the logits: the strip's square goes to it turned as well.
            square, beside = dlogits[:, :, :w], dlogits[:, :, w:]
            square += square.mT.clone()
            beside += dseen
            (dx_here, dx), dvalue = _cut(dx, w), torch.baddbmm(dvalue, looking.mT, dy_here)
            dvalue_here, dvalue = _cut(dvalue, w)
            done.append((dx_here + ctx.s * dlogits @ x[:, i:], torch.baddbmm(dvalue_here, seen, dy_later)))
            dx = torch.baddbmm(dx, beside.mT, ctx.s * x_here)
        dx, dvalue = (torch.cat(parts, dim=1) for parts in zip(*done, strict=True))
        return dx, dvalue, None


class _Seen(NamedTuple):
    """What queries have seen: sums of exp(logits - top) value and of exp(logits - top), and their largest logit."""

    y: Float[Tensor, "b q v"]
    total: Float[Tensor, "b q 1"]
    top: Float[Tensor, "b q 1"]


def _softmax(theta, phi, s):
    return (s * theta @ phi.mT).softmax(dim=-1)


def _logits(x: Float[Tensor, "b n c"], i: int, w: int, s: float) -> Float[Tensor, "b strip rest"]:
    """Of w queries from i on, with the keys from i on."""
    return s * x[:, i : i + w] @ x[:, i:].mT


def _exp(below: Tensor) -> Tensor:
    """exp, in place, of what weighs one at the most. Nothing is left to be seen of less than the root of the smallest
    number, the products of which are subnormal; these, and exponentials that underflow, take many times as long."""
    return below.clamp_min_(math.log(torch.finfo(below.dtype).tiny) / 2).exp_()


def _cut(rest: Float[Tensor, "b rest d"], w: int) -> tuple[Float[Tensor, "b strip d"], Float[Tensor, "b later d"]]:
    return rest[:, :w], rest[:, w:]


def _look(seen: _Seen, logits: Float[Tensor, "b q k"], value: Float[Tensor, "b k v"]) -> _Seen:
    """Some queries look at further keys."""
    top = torch.maximum(seen.top, logits.amax(dim=2, keepdim=True))
    shrink, weights = (seen.top - top).exp(), _exp(logits - top)
    y = torch.baddbmm(seen.y * shrink, weights, value)
    return _Seen(y, seen.total * shrink + weights.sum(dim=2, keepdim=True), top)
