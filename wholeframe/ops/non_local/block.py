"""The non-local operation with its linear maps: everything between a map and what a block adds to it.

    W_z y + b_z,    y = pairwise(theta x, phi x, g x)                   (Wang et al., CVPR 2018, eq. 6)

Linear maps before and after the pairwise operation may be merged with it, and with each other, wherever that is less
work. The products are the same in exact arithmetic; what is merged, and when, is written here.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.backends import Impl, Sizes, choose, never
from wholeframe.ops.layout import as_given, pool_keys, pool_window, to_grid, to_positions, wide
from wholeframe.ops.linear import LinearMap, add_product, gram, gram_macs, project
from wholeframe.ops.non_local.dense import Kind, mean_product, non_local_operation, pairwise_backends, pairwise_macs
from wholeframe.ops.non_local.softmax import Scale

PoolOrder = Literal["before", "after"]


class Layers(NamedTuple):
    """The linear maps of a block. `gaussian` has neither theta nor phi, and only `concatenation` has w_f."""

    theta: LinearMap | None
    phi: LinearMap | None
    g: LinearMap
    out: LinearMap
    w_f: LinearMap | None


class Keys(NamedTuple):
    """Which keys there are: a window of pooling (see `layout.pool_window`), before or after phi and g."""

    pool: int | Sequence[int] = 1
    order: PoolOrder = "after"

    @property
    def late(self) -> bool:
        return self.order == "after" and (self.pool if isinstance(self.pool, int) else max(self.pool)) > 1


ALL_KEYS = Keys()


class Extent(NamedTuple):
    """What the cost of the operation depends on, per sample.

    n queries, k keys, which phi and g see at m positions before some are pooled away, of c channels, d inside.
    """

    n: int
    m: int
    k: int
    c: int
    d: int


def non_local_block(
    x: Float[Tensor, "b c *grid"],
    layers: Layers,
    kind: Kind,
    keys: Keys = ALL_KEYS,
    *,
    scale: Scale = None,
    residual: bool = True,
    backend: str = "auto",
) -> Float[Tensor, "b c *grid"]:
    """x + W_z y + b_z, or without x where `residual` is False.

    `scale` and `backend` are those of `pairwise`; `dot` has one backend more, `gram`. See `backends`.
    """
    weight, y, bias = _response(x, layers, kind, keys, scale, backend)
    return add_product(x.flatten(2) if residual else None, weight, y, bias).unflatten(2, x.shape[2:])


def embed(
    x: Float[Tensor, "b c *grid"], layers: Layers, keys: Keys = ALL_KEYS
) -> tuple[Float[Tensor, "b n _"], Float[Tensor, "b k _"], Float[Tensor, "b k d"]]:
    """Theta of all queries, phi and g of all keys; theta and phi are x itself where there are no such layers."""
    theta, phi, g = layers.theta, layers.phi, layers.g
    source = _key_map(x, keys)
    if theta is None or phi is None:
        positions = to_positions(x).contiguous()
        key = positions if source is x else to_positions(source)
        (value,) = project(source.flatten(2), g)
        return positions, _pooled(key, source, keys), _pooled(value, source, keys)
    if source is x:
        query, key, value = project(x.flatten(2), theta, phi, g)
    else:
        (query,), (key, value) = project(x.flatten(2), theta), project(source.flatten(2), phi, g)
    return query, _pooled(key, source, keys), _pooled(value, source, keys)


def non_local_macs(extent: Extent, kind: Kind, backend: str = "auto") -> int:
    """Multiply-adds of `non_local` for one sample, as far as they are matrix products."""
    if kind == "dot":
        return choose(DOT, backend, extent).macs(extent)
    n, m, k, c, d = extent
    width = {"gaussian": c, "concatenation": 0}.get(kind, d)
    embedding = {"gaussian": 0, "concatenation": _score_macs(extent)}.get(kind, (n + m) * c * d)
    return embedding + (m + n) * c * d + pairwise_macs(Sizes(n, k, width, d), kind, backend)


def backend_names(kind: Kind) -> tuple[str, ...]:
    """The names that `backend` takes for this kind, besides `"auto"`."""
    return tuple(DOT) if kind == "dot" else pairwise_backends(kind)


def extent(grid: torch.Size | Sequence[int], keys: Keys, c: int, d: int) -> Extent:
    """The extent of a map with this grid."""
    window = pool_window(keys.pool, len(grid))
    n, k = math.prod(grid), math.prod([size // width for size, width in zip(grid, window, strict=True)])
    return Extent(n, k if keys.order == "before" else n, k, c, d)


def _response(x, layers, kind, keys, scale, backend):
    """W, y and b of W y + b."""
    if kind == "dot":
        sizes = extent(x.shape[2:], keys, x.shape[1], layers.g.weight.shape[0])
        return choose(DOT, backend, sizes, x, keys).run(x, layers, keys)
    theta, phi, value = (_scores if kind == "concatenation" else embed)(x, layers, keys)
    beta = None if layers.w_f is None else layers.w_f.bias
    y = non_local_operation(theta, phi, value, kind, scale=scale, beta=beta, backend=backend)
    return layers.out.weight, y, layers.out.bias


def _key_map(x, keys):
    return pool_keys(x, keys.pool) if keys.order == "before" else x


def _pooled(y, source, keys):
    return to_positions(pool_keys(to_grid(y, source.shape[2:]), keys.pool)) if keys.late else y


# ------------------------------------------------------------------------------------------------ concatenation


def _scores(x, layers, keys):
    """w_1 . theta x_i and w_2 . phi x_j as one number each, (w_1^T W_theta) x_i: theta and phi are never computed.

    A maximum over phi does not merge with what follows it, so phi is, where its keys are pooled.
    """
    w_theta, w_phi = wide(layers.w_f.weight).split(layers.g.weight.shape[0], dim=1)
    if keys.late:
        phi, value = (_pooled(y, x, keys) for y in project(x.flatten(2), layers.phi, layers.g))
        (query,) = _rows(x, (w_theta, layers.theta))
        with as_given(x):
            return query, wide(phi) @ w_phi.mT, value
    source = _key_map(x, keys)
    if source is x:
        query, key = _rows(x, (w_theta, layers.theta), (w_phi, layers.phi))
    else:
        (query,), (key,) = _rows(x, (w_theta, layers.theta)), _rows(source, (w_phi, layers.phi))
    (value,) = project(source.flatten(2), layers.g)
    return query, key, value


def _rows(x, *pairs):
    """w (W x + b) at every position, in float32 or better, for pairs of a row w and a layer."""
    with as_given(x):
        rows = torch.cat([w @ wide(layer.weight) for w, layer in pairs])
        scores = (rows @ wide(x.flatten(2))).split(1, dim=1)
        biases = [0 if layer.bias is None else w @ wide(layer.bias) for w, layer in pairs]
        return [score.mT + bias for score, bias in zip(scores, biases, strict=True)]


def _score_macs(e: Extent) -> int:
    """Both rows and the scores of the queries; the scores of the keys, from phi where these are pooled."""
    keys = e.m * e.c + e.d * e.c if e.m == e.k else e.m * e.c * e.d + e.k * e.d
    return e.n * e.c + e.d * e.c + keys


# ---------------------------------------------------------------------------------------------------------- dot


def _dense_dot(x, layers, keys):
    theta, phi, value = embed(x, layers, keys)
    return layers.out.weight, non_local_operation(theta, phi, value, "dot", backend="dense"), layers.out.bias


def _associative_dot(x, layers, keys):
    """W_z (phi^T g / k)^T is a c x d matrix of the sample, which theta goes through."""
    theta, phi, value = embed(x, layers, keys)
    return _of_sample(layers.out, mean_product(phi, value)).to(theta.dtype), theta, layers.out.bias


def _gram_dot(x, layers, keys):
    """phi^T g follows from x x^T alone, and theta merges as well: K x + K_0 with a c x c matrix K of the sample."""
    theta, out = layers.theta, layers.out
    through = _of_sample(out, _mean_product_of_embedded(_key_map(x, keys).flatten(2), layers.phi, layers.g))
    bias = out.bias
    if theta.bias is not None:
        constant = (through @ theta.bias[:, None])[..., 0]
        bias = constant if bias is None else constant + bias
    return through @ theta.weight, to_positions(x), bias


def _mean_product_of_embedded(x, phi, g):
    """phi^T g / k = W_phi (x x^T / k) W_g^T, and what the biases add: products with the mean of x over the keys."""
    state, mean = phi.weight @ (gram(x) / x.shape[2]) @ g.weight.mT, x.mean(dim=2)
    if g.bias is not None:
        state = state + F.linear(mean, phi.weight)[:, :, None] * g.bias
    if phi.bias is not None:
        state = state + phi.bias[:, None] * F.linear(mean, g.weight, g.bias)[:, None, :]
    return state


def _of_sample(out, state):
    """W_z state^T: the linear map that one sample's keys make."""
    with as_given(state):
        return wide(out.weight) @ state.mT


def _no_gram(*inputs):
    if not inputs:
        return None
    x, keys = inputs
    if keys.late:
        return "a maximum over phi and g is no product with x; take pool_order='before' or backend='associative'"
    if x.dtype.itemsize < 4 or torch.is_autocast_enabled(x.device.type):
        return "x x^T over all positions needs the digits of float32; take backend='associative'"
    return None


def _gram_macs(e: Extent) -> int:
    """x x^T and K x; in between W_phi, W_g, W_z and W_theta go to the matrix, and three biases past it."""
    return gram_macs(e.c, e.m) + e.n * e.c * e.c + 2 * (e.d * e.c + e.d * e.d) * e.c + 3 * e.c * e.d


def _associative_macs(e: Extent) -> int:
    return (2 * e.n + 2 * e.m) * e.c * e.d + (e.k + e.c) * e.d * e.d


def _dense_macs(e: Extent) -> int:
    return (2 * e.n + 2 * e.m) * e.c * e.d + 2 * e.n * e.k * e.d


# While exporting the first is taken: it always runs.
DOT = {
    "associative": Impl(_associative_dot, never, _associative_macs),
    "gram": Impl(_gram_dot, _no_gram, _gram_macs),
    "dense": Impl(_dense_dot, never, _dense_macs),
}
