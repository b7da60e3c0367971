"""`concatenation` by sorting: sums over pairs of a ramp or a step in O(n log n) time and linear memory.

    ramp_i = 1/m sum_j relu(a_i + b_j) value_j          step_i = 1/m sum_j [a_i + b_j > 0] value_j

Both are functions of the one number a_i, with a *knot* at every -b_j: the first is linear between knots, the second
constant. So: sort the knots, compute the function at each of them, and interpolate at the a_i.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from wholeframe.ops.autograd import derived, two_modes
from wholeframe.ops.layout import as_given, flat, wide
from wholeframe.ops.linear import LinearMap, project
from wholeframe.ops.non_local.cost import KNOTS
from wholeframe.ops.non_local.dense import Keys, Kind, Layers, pair_scores
from wholeframe.ops.pooling import pool_keys, pool_positions

Sum = Literal["ramp", "step"]


def scores(
    x: Float[Tensor, "b c *grid"], layers: Layers, keys: Keys
) -> tuple[Float[Tensor, "b n 1"], Float[Tensor, "b k 1"], Float[Tensor, "b k d"]]:
    """w_1 . theta x_i as (w_1^T W_theta) x_i, and w_2 . phi x_j likewise, which need neither theta nor phi.

    A maximum over phi does not merge with a product after it, so phi is computed where its keys are pooled.
    """
    assert layers.theta is not None and layers.phi is not None and layers.w_f is not None
    w_theta, w_phi = wide(layers.w_f.weight).split(layers.g.weight.shape[0], dim=1)
    if keys.pooled == "after":
        phi, value = pool_positions(x.shape[2:], keys.pool, *project(flat(x), layers.phi, layers.g))
        (query,) = _score(x, (w_theta, layers.theta))
        with as_given(x):
            return query, wide(phi) @ w_phi.transpose(-2, -1), value
    if keys.pooled == "before":
        source = pool_keys(x, keys.pool)
        (query,), (key,) = _score(x, (w_theta, layers.theta)), _score(source, (w_phi, layers.phi))
    else:
        source = x
        query, key = _score(x, (w_theta, layers.theta), (w_phi, layers.phi))
    (value,) = project(flat(source), layers.g)
    return query, key, value


def by_sorting(
    theta: Float[Tensor, "b q d"],
    phi: Float[Tensor, "b k d"],
    value: Float[Tensor, "b k v"],
    kind: Kind,
    *,
    w_f: Float[Tensor, "two_d"] | None,
    beta: Float[Tensor, "1"] | None,
    **_scale: Any,
) -> Float[Tensor, "b q v"]:
    """The ramp of the scores."""
    with as_given(theta):
        a, b = pair_scores(wide(theta), wide(phi), w_f, beta)
        (y,) = pair_sums(a, b, wide(value), ("ramp",), phi.shape[1])
        return y.to(value.dtype)


def pair_sums(
    a: Float[Tensor, "b q"],
    b: Float[Tensor, "b k"],
    value: Float[Tensor, "b k v"],
    sums: tuple[Sum, ...],
    m: int | torch.SymInt,
) -> tuple[Float[Tensor, "b q v"], ...]:
    """The named sums over pairs, divided by m. Differentiable any number of times; saves only a, b and value.

    Finite exactly where the sum over literal pairs is finite. Ties a_i + b_j = 0 count as no pair, as the derivative of
    ReLU at 0 is 0.
    """
    return derived(PairSums).apply(a, b, value, sums, m)


@two_modes
class PairSums(torch.autograd.Function):
    """The derivatives of ramps are ramps and steps, with keys and queries exchanged; those of steps are steps."""

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
        """One more axis of samples makes a longer batch."""
        size, axes = info.batch_size, in_dims[:3]
        a, b, value = (
            x.expand(size, *x.shape) if axis is None else x.movedim(axis, 0)
            for x, axis in zip((a, b, value), axes, strict=True)
        )
        found = pair_sums(a.flatten(0, 1), b.flatten(0, 1), value.flatten(0, 1), sums, m)
        return tuple(y.unflatten(0, a.shape[:2]) for y in found), (0,) * len(found)


def _score(
    x: Float[Tensor, "b c *grid"], *pairs: tuple[Float[Tensor, "1 d"], LinearMap]
) -> list[Float[Tensor, "b n 1"]]:
    """w (W x + b) at every position, in float32 or float64, for pairs of a row w and a layer."""
    with as_given(x):
        rows = torch.cat([w @ wide(layer.weight) for w, layer in pairs])
        found = (rows @ wide(flat(x))).split(1, dim=1)
        biases = [0 if layer.bias is None else w @ wide(layer.bias) for w, layer in pairs]
        return [score.transpose(-2, -1) + bias for score, bias in zip(found, biases, strict=True)]


def _evaluate(
    a: Float[Tensor, "b q"],
    b: Float[Tensor, "b k"],
    value: Float[Tensor, "b k v"],
    sums: tuple[Sum, ...],
    m: int | torch.SymInt,
) -> tuple[Float[Tensor, "b q v"], ...]:
    with as_given(value):
        knots, at, order = _sorted_knots(a, b)
        batch, k, _ = value.shape
        samples = torch.arange(batch, device=order.device)
        # The knots that fill the last block up repeat a value, and their position keeps it out of every sum.
        value = F.embedding(order + k * samples[:, None, None], value.flatten(0, 1))
        tables = _at_knots(knots, value.flatten(0, 1), sums)
        knots = knots.flatten(1)
        below = torch.searchsorted(knots, at)
        ill = _ill(a) + _ill(b).sum(dim=1, keepdim=True)
        read = {"ramp": _between_knots, "step": _left_of}
        return tuple(read[name](table, knots, at, below, ill, m) for name, table in zip(sums, tables, strict=True))


def _sorted_knots(
    a: Float[Tensor, "b q"], b: Float[Tensor, "b k"]
) -> tuple[Float[Tensor, "b blocks in_block"], Float[Tensor, "b q"], Int[Tensor, "b blocks in_block"]]:
    """The knots -b, sorted and in blocks, with fillers so that every a lies below the last; a; the order of the keys.

    A key of -inf pairs with no query, as a key at the last knot does. Any other score that is not finite goes there
    too and becomes nan afterwards.
    """
    lowest = torch.full((), -torch.inf, dtype=a.dtype, device=a.device)
    at, knots = torch.where(a.isfinite(), a, lowest), -b
    last = torch.maximum(at.amax(dim=1), torch.where(knots.isfinite(), knots, lowest).amax(dim=1))[:, None]
    last = torch.where(last.isfinite(), last, torch.zeros_like(last))
    knots, order = torch.where(knots.isfinite(), knots, last).sort(dim=1)
    # At least one knot more than keys, and at least two blocks, as one is a special number for a dynamic export.
    k = b.shape[1]
    block, inside = torch.arange(k // KNOTS + 2, device=b.device), torch.arange(KNOTS, device=b.device)
    index = KNOTS * block[:, None] + inside
    filled = index.clamp(max=k - 1)
    return torch.where(index < k, knots[:, filled], last[..., None]), at, order[:, filled]


def _ill(x: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """nan for a score of +inf or nan, otherwise 0: the ReLU makes 0 of -inf."""
    return 0 * torch.where(x == -torch.inf, torch.zeros_like(x), x)


def _at_knots(
    knots: Float[Tensor, "b blocks in_block"], value: Float[Tensor, "b_blocks in_block v"], sums: tuple[Sum, ...]
) -> list[Float[Tensor, "b_blocks in_block v"]]:
    """The sums at (ramp) and right of (step) every knot.

    Pairs within a block are a matrix product. Earlier blocks add a straight line from the block's first knot on. Its
    slope and start are sums over many keys, so these few numbers are accumulated in float64; the rest never subtracts
    large numbers.
    """
    dtype, t, first = value.dtype, knots, knots[..., :1]
    to_next = first.roll(-1, dims=1) - t  # the last block has no next one, and its entry is never read
    # Per block: the sum of its values, and what its ramps have grown to at the next block's first knot.
    ends = torch.stack([torch.ones_like(t), to_next], dim=2).flatten(0, 1) @ value
    total, growth = ends.unflatten(0, t.shape[:2]).double().unbind(dim=2)
    slope = _sum_of_earlier(total)
    tables = []
    for name in sums:
        if name == "step":
            inside = torch.ones(KNOTS, KNOTS, dtype=dtype, device=value.device).tril()
            line = torch.ones_like(t)[..., None], slope[:, :, None]
        else:
            inside = F.relu(t[..., :, None] - t[..., None, :]).flatten(0, 1)
            start = _sum_of_earlier(growth + slope * to_next[..., :1])
            start = start + 0 * total.sum(dim=1, keepdim=True)  # a value that is not finite spoils its channel
            line = torch.stack([t - first, torch.ones_like(t)], dim=-1), torch.stack([slope, start], dim=2)
        left, right = (x.flatten(0, 1).to(dtype) for x in line)
        tables.append(torch.baddbmm(inside @ value, left, right))
    return tables


def _sum_of_earlier(x: Float[Tensor, "b blocks v"]) -> Float[Tensor, "b blocks v"]:
    return x.cumsum(dim=1) - x


def _between_knots(
    table: Float[Tensor, "b_blocks in_block v"],
    knots: Float[Tensor, "b knots"],
    at: Float[Tensor, "b q"],
    below: Int[Tensor, "b q"],
    ill: Float[Tensor, "b q"],
    m: int | torch.SymInt,
) -> Float[Tensor, "b q v"]:
    """Linear interpolation between the two knots around each query; 0 before the first knot."""
    left = (below - 1).clamp(min=0)
    start, end = knots.gather(1, left), knots.gather(1, left + 1)
    w = torch.where(below > 0, (at - start) / (end - start), torch.zeros_like(at)) + ill
    weight = torch.stack([1 - w, w], dim=-1).div(m)  # pyright: ignore[reportArgumentType]
    return _rows(table, torch.stack([left, left + 1], dim=-1), weight)


def _left_of(
    table: Float[Tensor, "b_blocks in_block v"],
    knots: Float[Tensor, "b knots"],
    at: Float[Tensor, "b q"],
    below: Int[Tensor, "b q"],
    ill: Float[Tensor, "b q"],
    m: int | torch.SymInt,
) -> Float[Tensor, "b q v"]:
    """The value right of the last knot below each query; 0 before the first knot."""
    weight = ((below > 0) + ill)[..., None].div(m)  # pyright: ignore[reportArgumentType]
    return _rows(table, (below - 1).clamp(min=0)[..., None], weight)


def _rows(
    table: Float[Tensor, "b_blocks in_block v"], index: Int[Tensor, "b q rows"], weight: Float[Tensor, "b q rows"]
) -> Float[Tensor, "b q v"]:
    """Weighted sums of rows of each sample's part of the table."""
    batch, q, _ = index.shape
    samples = torch.arange(batch, device=index.device)[:, None, None]
    table = table.flatten(0, 1)
    index = index + samples * (table.shape[0] // max(batch, 1))
    weight = weight.to(table.dtype).flatten(0, 1)
    return F.embedding_bag(index.flatten(0, 1), table, per_sample_weights=weight, mode="sum").unflatten(0, (batch, q))
