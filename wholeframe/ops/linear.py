"""Linear maps over channels, from a map `(b, c, n)` to positions `(b, n, d)` and back, in products alone.

The numbers are those of `F.linear`. What differs is the layout of the output and of the gradients: maps stay maps,
positions stay positions, and x is added within the product. Under autocast, which chooses the precision of torch's own
ops, and in an exported or traced graph, every function here is a plain torch op.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.compiler import is_compiling, is_exporting
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]

from wholeframe.ops.autograd import applied, transformed, two_modes


class LinearMap(NamedTuple):
    """W and b of a linear map over channels; b is None for none."""

    weight: Float[Tensor, "d c"]
    bias: Float[Tensor, "d"] | None


def project(
    x: Float[Tensor, "b c n"], *layers: LinearMap, widths: list[int] | None = None
) -> tuple[Float[Tensor, "b n _"], ...]:
    """W x + b of every layer, at every position.

    Every layer is a product of its own, since a common one needs a copy of all weights in one matrix. One layer may
    have the rows of several, `widths` of each.
    """
    if is_tracing() or is_exporting() or (x.device.type != "meta" and torch.is_autocast_enabled(x.device.type)):
        outputs = tuple(F.linear(x.transpose(-2, -1), *layer) for layer in layers)
    else:
        outputs = applied(_Project, x, *itertools.chain.from_iterable(layers))
    return outputs if widths is None else outputs[0].split(widths, dim=-1)


def project_maps(x: Float[Tensor, "b c n"], *weights: Float[Tensor, "_ c"]) -> tuple[Float[Tensor, "b _ n"], ...]:
    """W x of every weight, in separate maps; the gradients to x accumulate in one map."""
    if is_tracing() or is_exporting() or (x.device.type != "meta" and torch.is_autocast_enabled(x.device.type)):
        return tuple(F.conv1d(x, weight[..., None]) for weight in weights)
    return applied(_ProjectMaps, x, *weights)


def add_product(
    x: Float[Tensor, "b c n"] | None,
    weight: Float[Tensor, "... c d"],
    y: Float[Tensor, "b n d"],
    bias: Float[Tensor, "... c"] | None,
    channels_last: bool = False,
) -> Float[Tensor, "b c n"]:
    """x + W y + b, or W y + b for no x; W and b for all samples, or a pair for each.

    Args:
        x, weight, y, bias: as in the equation.
        channels_last: whether the channels of a position lie next to each other in x and in the output.
    """
    if is_tracing() or is_exporting() or (y.device.type != "meta" and torch.is_autocast_enabled(y.device.type)):
        z = (y @ weight.transpose(-2, -1).to(y.dtype)).transpose(-2, -1)
        z = z if bias is None else z + bias[..., None].to(z.dtype)
        return z if x is None else x + z
    z = applied(_AddProduct, x, weight, y, bias, channels_last)
    return z.mT if channels_last else z  # a view from within a Function could not be changed in place by the next layer


def add_to_new(x: Float[Tensor, "*shape"], new: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x + new, in the memory of a tensor that nothing else needs, where it has the layout of x."""
    if is_compiling() or is_tracing() or transformed() or new.dtype != x.dtype or new.stride() != x.stride():
        return x + new
    return new.add_(x)


def gram(x: Float[Tensor, "b c n"]) -> Float[Tensor, "b c c"]:
    """x x^T; the lower left quarter is the transposed upper right one, and is not computed."""
    return applied(_Gram, x)


def gram_macs(c: int, n: int) -> int:
    """Multiply-adds of `gram` for one sample."""
    half = c // 2
    return n * (half * c + (c - half) ** 2)


@two_modes
class _Project(torch.autograd.Function):
    """W x + b of every W and b, which follow x in turns."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, *layers):
        """One product for all samples, or where that needs a copy of the map, one for each."""
        positions, outputs = x.mT, []
        together = positions.is_contiguous()
        for weight, bias in zip(layers[::2], layers[1::2], strict=True):
            y = positions @ weight.mT if together else torch.bmm(positions, weight.mT.expand(x.shape[0], -1, -1))
            if bias is not None:
                y = y + bias if transformed() else y.add_(bias)
            outputs.append(y)
        return tuple(outputs)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, *layers = inputs
        ctx.save_for_backward(x, *layers[::2])
        ctx.save_for_forward(x, *layers[::2])

    @staticmethod
    def tangents(ctx, *tangents):
        (dx, *dlayers), (x, *weights) = tangents, ctx.saved_tensors
        return tuple(
            F.linear(dx.mT, weight, dbias) + F.linear(x.mT, dweight)
            for weight, dweight, dbias in zip(weights, dlayers[::2], dlayers[1::2], strict=True)
        )

    @staticmethod
    def backward(ctx, *gradients):
        x, *weights = ctx.saved_tensors
        maps = [dy.mT for dy in gradients]
        dx = _through(x, weights, maps) if ctx.needs_input_grad[0] else None
        of_weights, of_biases = ctx.needs_input_grad[1::2], ctx.needs_input_grad[2::2]
        dweights = _weight_gradients(x, maps, of_weights)
        dbiases = (dy.sum(dim=(0, 1)) if needed else None for dy, needed in zip(gradients, of_biases, strict=True))
        return dx, *itertools.chain.from_iterable(zip(dweights, dbiases, strict=True))


@two_modes
class _ProjectMaps(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, *weights):
        return tuple([torch.bmm(weight.expand(x.shape[0], -1, -1), x) for weight in weights])

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def tangents(ctx, *tangents):
        (dx, *dweights), (x, *weights) = tangents, ctx.saved_tensors
        return tuple(weight @ dx + dweight @ x for weight, dweight in zip(weights, dweights, strict=True))

    @staticmethod
    def backward(ctx, *gradients):
        x, *weights = ctx.saved_tensors
        dx = _through(x, weights, gradients) if ctx.needs_input_grad[0] else None
        return dx, *_weight_gradients(x, gradients, ctx.needs_input_grad[1:])


@two_modes
class _AddProduct(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, weight, y, bias, channels_last):
        """The map, or for maps that are stored with channels last its transpose."""
        weight = weight.expand(y.shape[0], -1, -1)
        factors = (y, weight.mT) if channels_last else (weight, y.mT)
        x = x.mT if channels_last and x is not None else x
        z = torch.bmm(*factors) if x is None else torch.baddbmm(x, *factors)
        if bias is None:
            return z
        bias = bias.unsqueeze(-2 if channels_last else -1)
        return z + bias if transformed() else z.add_(bias)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, weight, y, bias, ctx.channels_last = inputs
        ctx.save_for_backward(weight, y)
        ctx.save_for_forward(weight, y)
        ctx.added, ctx.by_position = x is not None, y.stride(-1) == 1
        ctx.bias_rank = 0 if bias is None else bias.ndim

    @staticmethod
    def tangents(ctx, *tangents):
        (dx, dweight, dy, dbias, _), (weight, y) = tangents, ctx.saved_tensors
        dz = weight @ dy.mT + dweight @ y.mT
        dz = dz if dbias is None else dz + dbias[..., None]
        dz = dz if dx is None else dx + dz
        return dz.mT if ctx.channels_last else dz

    @staticmethod
    def backward(ctx, *gradients):
        dz = gradients[0].mT if ctx.channels_last else gradients[0]
        weight, y = ctx.saved_tensors
        dweight = dy = dbias = None
        if ctx.needs_input_grad[1]:
            dweight = _over_samples(dz, y) if weight.ndim == 2 else torch.bmm(dz, y)
        if ctx.needs_input_grad[2]:
            weight = weight.expand(y.shape[0], -1, -1)
            dy = torch.bmm(dz.mT, weight) if ctx.by_position else torch.bmm(weight.mT, dz).mT
        if ctx.bias_rank and ctx.needs_input_grad[3]:
            dbias = dz.sum(dim=(0, 2) if ctx.bias_rank == 1 else 2)
        return dz if ctx.added else None, dweight, dy, dbias, None


@two_modes
class _Gram(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        half = x.shape[1] // 2
        upper, lower = x[:, :half], x[:, half:]
        top, corner = torch.bmm(upper, x.transpose(-2, -1)), torch.bmm(lower, lower.transpose(-2, -1))
        return torch.cat([top, torch.cat([top[:, :, half:].transpose(-2, -1), corner], dim=2)], dim=1)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def tangents(ctx, *tangents):
        (dx,), (x,) = tangents, ctx.saved_tensors
        half = torch.bmm(dx, x.transpose(-2, -1))
        return half + half.transpose(-2, -1)

    @staticmethod
    def backward(ctx, *gradients):
        """One product for both factors, where autograd would run one for each."""
        (ds,), (x,) = gradients, ctx.saved_tensors
        return torch.bmm(ds + ds.transpose(-2, -1), x)


def _through(
    x: Float[Tensor, "b c n"], weights: Sequence[Float[Tensor, "_ c"]], gradients: Sequence[Float[Tensor, "b _ n"]]
) -> Float[Tensor, "b c n"]:
    """The sum of W^T dy of every layer, in one map with the layout of x."""
    channels_last = x.mT.is_contiguous()
    pairs = [(weight.expand(x.shape[0], -1, -1), dy) for weight, dy in zip(weights, gradients, strict=True)]
    first, *others = [(dy.mT, weight) if channels_last else (weight.mT, dy) for weight, dy in pairs]
    dx = torch.bmm(*first)
    for factors in others:
        dx = dx.baddbmm(*factors) if transformed() else dx.baddbmm_(*factors)
    return dx.mT if channels_last else dx


def _weight_gradients(
    x: Float[Tensor, "b c n"], gradients: Sequence[Float[Tensor, "b _ n"]], needed: Sequence[bool]
) -> list[Float[Tensor, "_ c"] | None]:
    """dy x^T of every layer, summed over samples; of many samples with few positions, x is copied once for all."""
    pairs = list(zip(gradients, needed, strict=True))
    if not any(needed):
        return [None for _ in pairs]
    if x.shape[0] > 1 and gradients[0].shape[1] < x.shape[2]:
        return [torch.bmm(dy, x.mT).sum(dim=0) if of_weight else None for dy, of_weight in pairs]
    positions = x.mT.flatten(0, 1)
    return [dy.transpose(0, 1).flatten(1) @ positions if of_weight else None for dy, of_weight in pairs]


def _over_samples(a: Float[Tensor, "b c n"], b: Float[Tensor, "b n d"]) -> Float[Tensor, "c d"]:
    """a b summed over samples, through the smaller of the two possible intermediates; one sample needs neither."""
    if a.shape[0] > 1 and b.shape[2] < a.shape[2]:
        return torch.bmm(a, b).sum(dim=0)
    return a.transpose(0, 1).flatten(1) @ b.flatten(0, 1)
