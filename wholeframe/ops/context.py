"""Context modelling: summarise a whole map in one vector.

Source: Cao et al., "GCNet", 2019 (arXiv 1904.11492), section 3. `dense_attention_context` is the definition of the
attention context; `attention_context` has the same value with a hand-written gradient on large maps.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.compiler import is_compiling

from wholeframe.ops.autograd import applied, many, two_modes
from wholeframe.ops.backends import in_graph, is_tracing
from wholeframe.ops.layout import as_given, everywhere, flat, on_grid, wide
from wholeframe.ops.normed import Normed, keep, kept, products

LARGE = 2**17  # numbers in a map, measured: where hand-written gradients begin to pay, see `by_hand`


def mean_context(x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c"]:
    """c = 1/n sum_j x_j, summed in float32 or better: the squeeze of SENet, the average pooling of GCNet."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    if not torch.is_grad_enabled() or in_graph():  # a graph has one way, because the check of a trace compares both
        return x.mean(_grid(x), dtype=dtype).to(x.dtype)
    # The gradient of a sum is an expanded view of one vector; the gradient of a mean would fill a whole map.
    return (x.sum(_grid(x), dtype=dtype) / math.prod(x.shape[2:])).to(x.dtype)


def max_context(x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c"]:
    """c = max_j x_j of every channel."""
    return x.amax(dim=_grid(x))


def std_context(x: Float[Tensor, "b c *grid"], eps: float) -> Float[Tensor, "b c"]:
    """c = sqrt(1/n sum_j (x_j - mean)^2 + eps), in float32 or better."""
    return (wide(x).var(dim=_grid(x), correction=0) + eps).sqrt().to(x.dtype)


def attention_weights(
    x: Float[Tensor, "b c *grid"], weight: Float[Tensor, "c"], bias: Float[Tensor, "1"] | None = None
) -> Float[Tensor, "b n"]:
    """a_j = softmax_j(w . x_j + beta), in float32 or better; beta cancels and exists for checkpoints."""
    with as_given(x):
        return _weights(wide(flat(x)), weight, bias).squeeze(1)


def dense_attention_context(
    x: Float[Tensor, "b c *grid"], weight: Float[Tensor, "c"], bias: Float[Tensor, "1"] | None = None
) -> Float[Tensor, "b c"]:
    """c = sum_j a_j x_j with the weights of `attention_weights`: attention with one learned query."""
    with as_given(x):
        v = flat(x) if x.dtype.itemsize >= 4 else flat(x).float()
        return torch.bmm(_weights(v, weight, bias), v.transpose(-2, -1)).squeeze(1).to(x.dtype)


def attention_context(
    x: Float[Tensor, "b c *grid"], weight: Float[Tensor, "c"], bias: Float[Tensor, "1"] | None = None
) -> Float[Tensor, "b c"]:
    """`dense_attention_context`, with a gradient on large maps that stores nothing but x and a."""
    return attention_context_and_map(x, weight, bias)[0]


def attention_context_and_map(
    x: Float[Tensor, "b c *grid"],
    weight: Float[Tensor, "c"],
    bias: Float[Tensor, "1"] | None = None,
    *,
    norm: Normed | None = None,
    overwrite: bool = False,
) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c *grid"]]:
    """The attention context, and x again for the fusion that needs both.

    A caller that uses the returned x saves memory: the gradients of the context and of the map are accumulated in
    one map instead of two.

    Args:
        x: the map.
        weight: w, the one learned query.
        bias: beta, or None; it changes neither output nor gradients.
        norm: what made x (`normed(x)`), which the gradient keeps in the place of x.
        overwrite: whether the caller changes the returned x in place; with a gradient this needs `norm`.

    Returns:
        The context in the dtype of x, and x.
    """
    if by_hand(x):
        with as_given(x):
            context, same, _ = applied(_AttentionContext, x, weight, bias, norm, overwrite)
            return context, same
    if torch.is_grad_enabled() or in_graph():
        return dense_attention_context(x, weight, bias), x
    return (_of_one_sample if x.shape[0] == 1 else dense_attention_context)(x, weight), x


def gated(
    x: Float[Tensor, "b c *grid"], gate: Float[Tensor, "b c"], *, norm: Normed | None = None, overwrite: bool = False
) -> Float[Tensor, "b c *grid"]:
    """x_i * gate, with a gradient on large maps that allocates one map, where that of a plain product allocates two.

    Args:
        x: the map.
        gate: a factor of every channel.
        norm: as in `attention_context_and_map`.
        overwrite: whether the result takes the place of x in memory; of a dtype that can hold it.
    """
    gate = everywhere(gate, x)
    if by_hand(x):
        return applied(_Gated, x, gate, norm, overwrite)
    return x.mul_(gate) if overwrite else x * gate


def by_hand(x: Float[Tensor, "b c *grid"]) -> bool:
    """Whether a hand-written gradient pays: it saves passes over large maps and costs time in Python.

    A compiler fuses the definition equally well, so graphs contain the definition.
    """
    # `in_graph`, without its call at every call of a block
    return torch.is_grad_enabled() and not (is_compiling() or is_tracing()) and x.numel() >= LARGE


def _grid(x: Float[Tensor, "b c *grid"]) -> tuple[int, ...]:
    """The dimensions of the grid, to reduce over."""
    return tuple(range(2, x.ndim))


def _weights(
    x: Float[Tensor, "b c n"], weight: Float[Tensor, "c"], bias: Float[Tensor, "1"] | None = None
) -> Float[Tensor, "b 1 n"]:
    """The weights in the dtype of x."""
    # A row times a matrix, here and below: a matrix times a column is an order of magnitude slower, and a product
    # with a vector would first copy the map into the order of positions.
    query = weight.to(x.dtype).expand(x.shape[0], 1, -1)
    logits = torch.bmm(query, x) if bias is None else torch.baddbmm(bias.to(x.dtype), query, x)
    return logits.softmax(dim=2)


def _of_one_sample(x: Float[Tensor, "1 c *grid"], weight: Float[Tensor, "c"]) -> Float[Tensor, "1 c"]:
    """`dense_attention_context` in products of two matrices, which are called faster than those of a batch."""
    with as_given(x):
        v = wide(x[0].flatten(1))
        a = torch.mm(weight.to(v.dtype)[None], v).softmax(dim=1)
        return torch.mm(a, v.t()).to(x.dtype)


@two_modes
class _AttentionContext(torch.autograd.Function):
    """c, x and a, with nothing stored but x and a. The gradient is that of the returned map plus a rank-two product:

        dx_j += a_j dc + dl_j w,    dl_j = a_j (x_j - c) . dc = a_j (s_j - sum_i a_i s_i),    s_j = x_j . dc

    The gradient of the bias is zero.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Float[Tensor, "b c *grid"],
        weight: Float[Tensor, "c"],
        bias: Float[Tensor, "1"] | None,
        norm: Normed | None,
        overwrite: bool,
    ) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c *grid"], Float[Tensor, "b 1 n"]]:
        v = wide(flat(x))
        a = _weights(v, weight)
        same = x if overwrite else x[...]  # a view with all its strides, which `view_as` changes for a single sample
        return torch.bmm(a, v.transpose(-2, -1)).squeeze(1).to(x.dtype), same, a

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        x, weight, bias, norm, overwrite = inputs
        if overwrite:  # what follows may change x in place, which autograd then follows
            ctx.mark_dirty(x)
        ctx.mark_non_differentiable(output[2])
        ctx.set_materialize_grads(False)
        keep(ctx, x, norm, weight, bias, output[2])

    @staticmethod
    def tangents(ctx, *tangents):
        """dc = sum_j da_j x_j + a_j dx_j,    da_j = a_j (dl_j - sum_i a_i dl_i),    dl_j = dw . x_j + w . dx_j."""
        weight, _, a, x, _ = kept(ctx, 3, again=True)
        dx, dweight = (torch.zeros_like(t) if dt is None else dt for t, dt in zip((x, weight), tangents, strict=False))
        with as_given(x):
            v, dv, b = wide(flat(x)), wide(flat(dx)), x.shape[0]
            dl = torch.bmm(wide(dweight).expand(b, 1, -1), v) + torch.bmm(wide(weight).expand(b, 1, -1), dv)
            da = a * (dl - (a * dl).sum(dim=2, keepdim=True))
            dc = torch.bmm(da, v.transpose(-2, -1)) + torch.bmm(a, dv.transpose(-2, -1))
        return dc.squeeze(1).to(x.dtype), dx.view_as(dx), None

    @staticmethod
    def backward(ctx, *gradients):
        dc, dmap, _ = gradients
        if dc is None:
            return dmap, None, None, None, None
        weight, bias, a, x, norm = kept(ctx, 3, again=torch.is_grad_enabled())
        with as_given(x):
            v, w, dc = wide(flat(x)), wide(weight), wide(dc)
            if torch.is_grad_enabled():
                a = _weights(v, w)  # recomputed from x and w, so that the gradient can be differentiated again
            # With u in the place of x, s_j lacks a number that all positions have, which cancels in dl.
            s = torch.bmm((dc if norm is None else dc * norm.scale)[:, None], v)
            dl = a * (s - (a * s).sum(dim=2, keepdim=True))
            dw = torch.bmm(dl, v.transpose(-2, -1))
            if norm is not None:
                dw = norm.scale * (dw - norm.center * dl.sum(dim=2, keepdim=True))
            dw = dw.sum(dim=(0, 1)).to(weight.dtype)
            # Two elementwise passes over one map, in the memory order of x: faster than a rank-two matrix product.
            turned = (lambda t: t.transpose(-2, -1)) if v.transpose(-2, -1).is_contiguous() else (lambda t: t)
            dx = turned(a) * turned(dc[:, :, None])
            more = torch.addcmul if torch.is_grad_enabled() else Tensor.addcmul_
            dx = turned(more(dx, turned(dl), turned(w.expand_as(dc)[:, :, None])))
            dx = on_grid(dx, x.shape[2:])
            dx = dx.to(x.dtype) if dmap is None else dx.add_(dmap).to(x.dtype)
        return dx, dw, None if bias is None else torch.zeros_like(bias), None, None


@two_modes
class _Gated(torch.autograd.Function):
    """x * gate, whose gradient allocates no map but that of x."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Float[Tensor, "b c *grid"], gate: Float[Tensor, "b c *ones"], norm: Normed | None, overwrite: bool
    ) -> Float[Tensor, "b c *grid"]:
        return x.mul_(gate) if overwrite else x * gate

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        x, gate, norm, overwrite = inputs
        if overwrite:
            ctx.mark_dirty(x)
        keep(ctx, x, norm, gate)

    @staticmethod
    def tangents(ctx, *tangents):
        dx, dgate, *_ = tangents
        gate, x, _ = kept(ctx, 1, again=True)
        return dx * gate + x * dgate

    @staticmethod
    def backward(ctx, *gradients):
        (dz,) = gradients
        again = torch.is_grad_enabled() or many(dz)
        gate, x, norm = kept(ctx, 1, again=again)
        dgate = (dz * x).sum(dim=_grid(x), keepdim=True) if again else products(dz, x, norm).view_as(gate)
        return (dz * gate).to(x.dtype), dgate.to(gate.dtype), None, None
