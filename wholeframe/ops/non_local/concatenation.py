"""Sums over pairs of a ramp or a step, in O(n log n) time and linear memory.

    ramp_i = 1/m sum_j relu(a_i + b_j) value_j          step_i = 1/m sum_j [a_i + b_j > 0] value_j

Both are functions of the one number a_i, with a *knot* at every -b_j: the first is linear from knot to knot, the
second constant. So: sort the knots, compute the function at each of them, and read it off at the a_i in between.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from wholeframe.ops.autograd import derived, two_modes
from wholeframe.ops.layout import as_given

Sum = Literal["ramp", "step"]
# Knots are taken in blocks of so many: pairs within a block are a matrix product, blocks see each other through
# their sums alone. Of 16 to 128, the fastest on a CPU.
BLOCK = 32


def pair_sums(
    a: Float[Tensor, "b q"],
    b: Float[Tensor, "b k"],
    value: Float[Tensor, "b k v"],
    sums: tuple[Sum, ...],
    m: int | torch.SymInt,
) -> tuple[Float[Tensor, "b q v"], ...]:
    """The named sums over pairs, divided by m. Differentiable any number of times; saves only a, b and value.

    Finite exactly where the sum over literal pairs is finite. Ties are no pairs, as the derivative of ReLU at 0
    is 0.
    """
    return derived(PairSums).apply(a, b, value, sums, m)


@two_modes
class PairSums(torch.autograd.Function):
    """The derivatives of ramps are ramps and steps, of keys instead of queries; those of steps are steps."""

    @staticmethod
    def forward(a, b, value, sums, m):
        return _evaluate(a, b, value, sums, m)

    @staticmethod
    def setup_context(ctx, inputs, output):
        a, b, value, ctx.sums, ctx.m = inputs
        ctx.save_for_backward(a, b, value)
        ctx.save_for_forward(a, b, value)

    @staticmethod
    def tangents(ctx, *tangents):
        (da, db, dvalue, *_), (a, b, value) = tangents, ctx.saved_tensors
        found = pair_sums(a, b, dvalue, ctx.sums, ctx.m)
        if "ramp" not in ctx.sums:
            return found
        (slope_a,) = pair_sums(a, b, value, ("step",), ctx.m)
        (by_b,) = pair_sums(a, b, db[..., None] * value, ("step",), ctx.m)
        more = da[..., None] * slope_a + by_b
        return tuple(dy + more if name == "ramp" else dy for name, dy in zip(ctx.sums, found, strict=True))

    @staticmethod
    def backward(ctx, *gradients):
        a, b, value = ctx.saved_tensors
        da, db, dvalue = torch.zeros_like(a), torch.zeros_like(b), torch.zeros_like(value)
        for name, dy in zip(ctx.sums, gradients, strict=True):
            if name == "step":
                (back,) = pair_sums(b, a, dy, ("step",), ctx.m)
            else:
                back, slope_b = pair_sums(b, a, dy, ("ramp", "step"), ctx.m)
                (slope_a,) = pair_sums(a, b, value, ("step",), ctx.m)
                da, db = (dy * slope_a).sum(dim=-1), (value * slope_b).sum(dim=-1)
            dvalue = dvalue + back
        return da, db, dvalue, None, None

    @staticmethod
    def vmap(info, in_dims, a, b, value, sums, m):  # pyright: ignore[reportIncompatibleMethodOverride]
        """One more axis of samples is a longer batch."""
        size, places = info.batch_size, in_dims[:3]
        a, b, value = (
            x.expand(size, *x.shape) if place is None else x.movedim(place, 0)
            for x, place in zip((a, b, value), places, strict=True)
        )
        found = pair_sums(a.flatten(0, 1), b.flatten(0, 1), value.flatten(0, 1), sums, m)
        return tuple(y.unflatten(0, a.shape[:2]) for y in found), (0,) * len(found)


def _evaluate(a, b, value, sums, m):
    with as_given(value):
        knots, at, order = _sorted_knots(a, b)
        batch, k, _ = value.shape
        samples = torch.arange(batch, device=order.device)
        # The knots that fill the last block up repeat a value, which their place keeps out of every sum.
        value = F.embedding(order + k * samples[:, None, None], value.flatten(0, 1))
        tables = _at_knots(knots, value.flatten(0, 1), sums)
        knots = knots.flatten(1)
        below = torch.searchsorted(knots, at)
        ill = _ill(a) + _ill(b).sum(dim=1, keepdim=True)
        read = {"ramp": _between_knots, "step": _left_of}
        return tuple(read[name](table, knots, at, below, ill, m) for name, table in zip(sums, tables, strict=True))


def _sorted_knots(a, b) -> tuple[Tensor, Tensor, Int[Tensor, "b blocks in_block"]]:
    """The knots -b in order and in blocks, at the end so many that every a lies below the last; a; the keys' order.

    A key of -inf meets no query, as one at the last knot does. Whatever else is not finite is put there too and
    made nan afterwards.
    """
    nowhere = torch.full((), -torch.inf, dtype=a.dtype, device=a.device)
    at, knots = torch.where(a.isfinite(), a, nowhere), -b
    last = torch.maximum(at.amax(dim=1), torch.where(knots.isfinite(), knots, nowhere).amax(dim=1))[:, None]
    last = torch.where(last.isfinite(), last, torch.zeros_like(last))
    knots, order = torch.where(knots.isfinite(), knots, last).sort(dim=1)
    # One knot more than keys at least; and two blocks at least, as one is a special number for a dynamic export.
    k = b.shape[1]
    block, inside = torch.arange(k // BLOCK + 2, device=b.device), torch.arange(BLOCK, device=b.device)
    place = BLOCK * block[:, None] + inside
    filled = place.clamp(max=k - 1)
    return torch.where(place < k, knots[:, filled], last[..., None]), at, order[:, filled]


def _ill(x):
    """nan where a score is +inf or nan, otherwise 0: of -inf the ReLU makes 0."""
    return 0 * torch.where(x == -torch.inf, torch.zeros_like(x), x)


def _at_knots(knots, value, sums):
    """The sums at (ramp) and right of (step) every knot: `(blocks, BLOCK, v)` each.

    What earlier blocks add is a straight line from the block's first knot on. Its slope and start are sums over
    many keys, so they are added up in float64, of which there are few; the rest never subtracts large numbers.
    """
    dtype, t, first = value.dtype, knots, knots[..., :1]
    to_next = first.roll(-1, dims=1) - t  # nobody reads what comes after the last block
    # Per block: the sum of its values, and what its ramps have grown to at the next block's first knot.
    ends = torch.stack([torch.ones_like(t), to_next], dim=2).flatten(0, 1) @ value
    total, growth = ends.unflatten(0, t.shape[:2]).double().unbind(dim=2)
    slope = _sum_of_earlier(total)
    tables = []
    for name in sums:
        if name == "step":
            inside = torch.ones(BLOCK, BLOCK, dtype=dtype, device=value.device).tril()
            line = torch.ones_like(t)[..., None], slope[:, :, None]
        else:
            inside = F.relu(t[..., :, None] - t[..., None, :]).flatten(0, 1)
            start = _sum_of_earlier(growth + slope * to_next[..., :1])
            start = start + 0 * total.sum(dim=1, keepdim=True)  # a value that is not finite spoils its channel
            line = torch.stack([t - first, torch.ones_like(t)], dim=-1), torch.stack([slope, start], dim=2)
        left, right = (x.flatten(0, 1).to(dtype) for x in line)
        tables.append(torch.baddbmm(inside @ value, left, right))
    return tables


def _sum_of_earlier(x):
    return x.cumsum(dim=1) - x


def _between_knots(table, knots, at, below, ill, m):
    """Linear interpolation between the two knots around each query; 0 before the first knot."""
    left = (below - 1).clamp(min=0)
    start, end = knots.gather(1, left), knots.gather(1, left + 1)
    w = torch.where(below > 0, (at - start) / (end - start), torch.zeros_like(at)) + ill
    return _rows(table, torch.stack([left, left + 1], dim=-1), torch.stack([1 - w, w], dim=-1) / m)


def _left_of(table, knots, at, below, ill, m):
    """The value right of the last knot below each query; 0 before the first knot."""
    return _rows(table, (below - 1).clamp(min=0)[..., None], ((below > 0) + ill)[..., None] / m)


def _rows(table, index, weight):
    """Weighted sums of rows: `(b, q, v)` of `(b, q, rows)` indices into each sample's part of the table."""
    batch, q, _ = index.shape
    samples = torch.arange(batch, device=index.device)[:, None, None]
    table = table.flatten(0, 1)
    index = index + samples * (table.shape[0] // max(batch, 1))
    weight = weight.to(table.dtype).flatten(0, 1)
    return F.embedding_bag(index.flatten(0, 1), table, per_sample_weights=weight, mode="sum").unflatten(0, (batch, q))
