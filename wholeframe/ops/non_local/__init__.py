"""The non-local operation and block: one definition (`dense.py`), and every faster way to compute the same numbers.

| file               | ways                                                                                       |
|--------------------|--------------------------------------------------------------------------------------------|
| `dense.py`         | `dense`: the definition, with its matrix of weights                                        |
| `softmax.py`       | `sdpa`: fused attention; `gram`: `gaussian` of x with itself from three quarters of x x^T  |
| `chunked.py`       | `symmetric`: `gaussian` of x with itself, half the logits, a chunk of queries at a time    |
| `dot.py`           | `associative`: theta (phi^T g); `gram`: from x x^T                                         |
| `concatenation.py` | `sorted`: a piecewise linear function of each query's score                                |
| `cost.py`          | multiply-adds, and every measured constant                                                 |
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.compiler import is_exporting
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]

from wholeframe.ops.backends import Backend, full_precision, in_graph, named, never
from wholeframe.ops.layout import flat, on_grid
from wholeframe.ops.linear import LinearMap, add_product
from wholeframe.ops.non_local import chunked, concatenation, cost, dense, dot, softmax
from wholeframe.ops.non_local.cost import Size, size_of
from wholeframe.ops.non_local.dense import ALL_KEYS, Keys, Kind, Layers, Scale, embed


class FixedNorm(NamedTuple):
    """A norm that is s z + b per channel whatever its input: frozen, or a batch norm in evaluation."""

    s: Float[Tensor, "c"]
    b: Float[Tensor, "c"]


def _two_tensors_refused(x: Tensor, linear: bool) -> str | None:
    if not linear:
        return "its queries are its keys, and here they are two tensors; leave backend='auto'"
    return None


def _chunked_refuses(x: Tensor, linear: bool) -> str | None:
    if in_graph():
        return "its chunks are counted in Python, and a graph would keep their number; leave backend='auto'"
    return _two_tensors_refused(x, linear)


def _gram_refuses(x: Tensor, linear: bool) -> str | None:
    if not linear:
        return "a maximum over phi and g has no product with x; take pool_order='before' or backend='associative'"
    if not full_precision(x):
        return "x x^T over all positions needs the digits of float32; take backend='associative'"
    return None


def _sorting_refuses(x: Tensor, linear: bool) -> str | None:
    if torch.onnx.is_in_onnx_export():
        return "ONNX has no searchsorted; leave backend='auto'"
    if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        return "a trace would keep its number of samples and keys; leave backend='auto'"
    if x.device.type == "mps":
        return "it sums its blocks in float64, which mps lacks; leave backend='auto'"
    return None


BACKENDS: dict[Kind, dict[str, Backend]] = {
    "gaussian": {
        "sdpa": Backend(softmax.fused, never, cost.gaussian_dense),
        "symmetric": Backend(chunked.symmetric, _chunked_refuses, cost.gaussian_symmetric),
        "gram": Backend(softmax.by_gram_matrix, _two_tensors_refused, cost.gaussian_gram),
        "dense": Backend(dense.weighted_sum, never, cost.gaussian_dense),
    },
    "embedded_gaussian": {
        "sdpa": Backend(softmax.fused, never, cost.embedded_dense),
        "dense": Backend(dense.weighted_sum, never, cost.embedded_dense),
    },
    "euclidean_gaussian": {
        "sdpa": Backend(softmax.fused_distances, never, cost.euclidean_fused),
        "dense": Backend(dense.weighted_sum, never, cost.euclidean_dense),
    },
    "dot": {
        "associative": Backend(dot.associative, never, cost.dot_associative),
        "gram": Backend(dot.gram_block, _gram_refuses, cost.dot_gram),
        "dense": Backend(dense.weighted_sum, never, cost.embedded_dense),
    },
    "concatenation": {
        "sorted": Backend(concatenation.by_sorting, _sorting_refuses, cost.concatenation_sorted),
        "dense": Backend(dense.weighted_sum, never, cost.concatenation_dense),
    },
}


def backend_names(kind: Kind) -> tuple[str, ...]:
    """The names that `backend` takes for this kind, besides `"auto"`."""
    return tuple(BACKENDS[kind])


# The ways of `dot` that merge W_z or W_theta with their products, and so start from x.
BLOCKS_OF_DOT = {"associative": dot.associative_block, "gram": dot.gram_block}


def non_local_block(
    x: Float[Tensor, "b c *grid"],
    layers: Layers,
    kind: Kind,
    keys: Keys = ALL_KEYS,
    *,
    scale: Scale = None,
    norm: FixedNorm | None = None,
    residual: bool = True,
    backend: str = "auto",
) -> Float[Tensor, "b c *grid"]:
    """The non-local block, its linear maps merged with the products between them where that is less work.

        z = W_z y + b_z + x

    Source: Wang et al., CVPR 2018, eq. 6.

    Args:
        x: the map.
        layers: the linear maps theta, phi, g, W_z and, of `concatenation`, w_f.
        kind: the pairwise function; see `wholeframe.ops.non_local.dense`.
        keys: the pooling of keys.
        scale: as in `pairwise_weights`.
        norm: s z + b after W_z, merged with it.
        residual: whether x is added.
        backend: `"auto"`, or a name of `backend_names(kind)`.

    Returns:
        `(b, c, *grid)`.

    Raises:
        ValueError: for a backend that does not exist or cannot run here, or a pool larger than the grid.
    """
    name = backend_for(x, layers, kind, keys, backend)
    if norm is not None:
        layers = layers._replace(out=_then(layers.out, norm))
    if kind == "dot" and name in BLOCKS_OF_DOT:
        weight, y, bias = BLOCKS_OF_DOT[name](x, layers, keys)
    else:
        theta, phi, g = (concatenation.scores if kind == "concatenation" else embed)(x, layers, keys)
        beta = None if layers.w_f is None else layers.w_f.bias
        y = BACKENDS[kind][name].run(theta, phi, g, kind, scale=scale, w_f=None, beta=beta)
        del theta, phi, g  # only y is needed from here on, and the peak of memory is in the last product
        weight, bias = layers.out.weight, layers.out.bias
    maps = flat(x)
    # An exported graph serves any size, and its strides are symbols.
    channels_last = not (is_tracing() or is_exporting()) and maps.stride(1) == 1
    z = add_product(maps if residual else None, weight, y, bias, channels_last=channels_last)
    return on_grid(z, x.shape[2:])


def backend_for(x: Float[Tensor, "b c *grid"], layers: Layers, kind: Kind, keys: Keys, backend: str = "auto") -> str:
    """The name of the way that `non_local_block` takes, which is `backend` unless that is `"auto"`.

    A softmax runs as fused attention, except for `gaussian` with all its positions as keys on a CPU in float32 or
    float64: that takes `gram` while the matrix is small, `symmetric` after that. `dot` takes the fewest multiply-adds,
    and `concatenation` is sorted unless the pairs are few. A graph, whose sizes may be symbols, has the first name of
    the table that can run.

    Raises:
        ValueError: for a backend that does not exist or cannot run here.
    """
    if backend == "auto" and kind in ("embedded_gaussian", "euclidean_gaussian"):
        return "sdpa"
    table = BACKENDS[kind]
    linear = keys.pooled is None if kind == "gaussian" else keys.pooled != "after"
    if backend != "auto":
        named(table, backend, x, linear)
        return backend
    able = [name for name, way in table.items() if way.refuse(x, linear) is None]
    if in_graph():
        return able[0]
    size = size_of(x.shape[2:], keys, x.shape[1], layers.g.weight.shape[0])
    if kind == "dot":
        return min(able, key=lambda name: table[name].multiply_adds(size))
    return _fastest(able, x, size)


def _fastest(able: Sequence[str], x: Tensor, size: Size) -> str:
    """The rules for `gaussian` and `concatenation`, outside of graphs."""
    if able[0] == "sorted":
        return "dense" if cost.few_pairs(size) else "sorted"
    if "symmetric" in able and x.device.type == "cpu" and full_precision(x):
        return "gram" if cost.matrix_is_small(size) else "symmetric"
    return able[0]


def non_local_macs(
    grid: Sequence[int], channels: int, inner: int, kind: Kind, keys: Keys = ALL_KEYS, backend: str = "dense"
) -> int:
    """Multiply-adds of the matrix products of `non_local_block`, for one sample.

    Args:
        grid: the map's.
        channels, inner: c and d.
        kind, keys: as in `non_local_block`.
        backend: the way that is counted; by default the definition, so that a count depends on no machine or dtype.
    """
    return BACKENDS[kind][backend].multiply_adds(size_of(grid, keys, channels, inner))


def non_local_operation(
    theta: Float[Tensor, "b q d"],
    phi: Float[Tensor, "b k d"],
    value: Float[Tensor, "b k v"],
    kind: Kind,
    *,
    scale: Scale = None,
    w_f: Float[Tensor, "two_d"] | None = None,
    beta: Float[Tensor, "1"] | None = None,
    backend: str = "auto",
) -> Float[Tensor, "b q v"]:
    """y of the non-local operation, without the linear maps around it.

        y_i = 1/C_i  sum_j f(theta_i, phi_j) value_j

    Source: Wang et al., CVPR 2018, eq. 1.

    Args:
        theta, phi, kind, scale, w_f, beta: as in `pairwise_weights`.
        value: the values to sum.
        backend: `"auto"`, or a name of `backend_names(kind)`; `gram` of `dot` starts from the map, and only
            `non_local_block` has it.

    Returns:
        `(b, q, v)`.

    Raises:
        ValueError: for a backend that does not exist or cannot run here.
    """
    q, k, d, v = theta.shape[1], phi.shape[1], theta.shape[2], value.shape[2]
    if kind == "dot" and backend == "gram":
        raise ValueError(
            "backend='gram' of kind='dot' starts from the map; call ops.non_local_block, or take 'associative'"
        )
    table, alike = BACKENDS[kind], theta is phi
    if backend == "auto":
        able = [name for name, way in table.items() if way.refuse(theta, alike) is None]
        if in_graph():
            backend = able[0]
        elif kind == "dot":
            backend = "dense" if (q + k) * d * v > q * k * (d + v) else "associative"
        else:
            backend = _fastest(able, theta, Size(q, k, k, d, v))
    return named(table, backend, theta, alike).run(theta, phi, value, kind, scale=scale, w_f=w_f, beta=beta)


def _then(out: LinearMap, norm: FixedNorm) -> LinearMap:
    """A linear map, and then s z + b, as one."""
    dtype = out.weight.dtype
    bias = norm.b if out.bias is None else norm.s * out.bias + norm.b
    return LinearMap((norm.s[:, None] * out.weight).to(dtype), bias.to(dtype))
