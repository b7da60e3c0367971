"""The non-local operation: every query looks at every key.

    y_i = 1/C_i  sum_j f(theta_i, phi_j) value_j                        (Wang et al., CVPR 2018, eq. 1)

| kind                 | f                                       | C_i        |
|----------------------|-----------------------------------------|------------|
| `gaussian`           | exp(s theta_i . phi_j), theta = phi = x | sum_j f    |
| `embedded_gaussian`  | exp(s theta_i . phi_j)                  | sum_j f    |
| `euclidean_gaussian` | exp(-s/2 |theta_i - phi_j|^2)           | sum_j f    |
| `dot`                | theta_i . phi_j                         | k (keys)   |
| `concatenation`      | relu(w . [theta_i; phi_j] + beta)       | k (keys)   |

`pairwise_weights` is the definition: it builds f / C. `non_local_operation` gives the same y by the cheapest exact way.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.backends import Impl, Sizes, choose, never
from wholeframe.ops.layout import as_given, wide
from wholeframe.ops.non_local.concatenation import BLOCK, pair_sums
from wholeframe.ops.non_local.softmax import (
    EUCLIDEAN,
    SELF_SOFTMAX,
    SOFTMAX,
    Scale,
    both_products,
    distance_as_product,
    distances,
    matrix_slowness,
    resolve_scale,
)

Kind = Literal["gaussian", "embedded_gaussian", "euclidean_gaussian", "dot", "concatenation"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def pairwise_weights(
    theta: Float[Tensor, "b q d"],
    phi: Float[Tensor, "b k d"],
    kind: Kind,
    *,
    scale: Scale = None,
    w_f: Float[Tensor, "two_d"] | None = None,
    beta: Float[Tensor, "1"] | None = None,
) -> Float[Tensor, "b q k"]:
    """The normalised weights f / C, one row per query, in float32 or better.

    Rows sum to one for the three gaussians; rows of `dot` are signed. `scale` is s: None for 1 (the paper),
    `"sqrt_dim"` for d^-1/2 (the released code), or a number; it does not enter `dot` and `concatenation`, as in
    every reference. `w_f` and `beta` belong to `concatenation`: w_f over theta's channels first, then phi's; without
    w_f, theta and phi are the two scores themselves, of one channel each.
    """
    with as_given(theta):
        theta, phi = wide(theta), wide(phi)
        if kind == "dot":
            return theta @ phi.mT / phi.shape[1]
        if kind == "concatenation":
            a, b = _rank_one(theta, phi, w_f, beta)
            return F.relu(a[:, :, None] + b[:, None, :]) / phi.shape[1]
        if kind == "euclidean_gaussian":
            theta, phi = distance_as_product(theta, phi, resolve_scale(scale, theta.shape[-1]))
            scale = None
        return (resolve_scale(scale, theta.shape[-1]) * theta @ phi.mT).softmax(dim=-1)


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
    """y of the non-local operation; arguments as in `pairwise_weights`.

    The three gaussians run as fused attention unless the matrix of weights is faster and no larger than what it is
    made of (memory stays linear in positions), `gaussian` with half the logits where theta and phi are one tensor,
    `dot` by associativity wherever that needs fewer multiply-adds, `concatenation` by sorting the keys wherever that
    is faster. `backend` names one way: see `backends`.
    """
    sizes = Sizes(theta.shape[1], phi.shape[1], theta.shape[2], value.shape[2])
    impl = choose(TABLES[kind], backend, sizes, theta, phi, value)
    return impl.run(theta, phi, value, kind, scale=scale, w_f=w_f, beta=beta)


def pairwise_macs(sizes: Sizes, kind: Kind, backend: str = "auto") -> int:
    """Multiply-adds of `non_local_operation` for one sample (softmax, ReLU and divisions not counted, as counters do)."""
    return choose(TABLES[kind], backend, sizes).macs(sizes)


# ------------------------------------------------------------------------------------------ dense: the definition


def _dense(theta, phi, value, kind, **options):
    weights = pairwise_weights(theta, phi, kind, **options)
    with as_given(theta):
        return (weights @ wide(value)).to(value.dtype)


def _rank_one(theta, phi, w_f, beta):
    """w . [theta_i; phi_j] + beta = a_i + b_j: the pair never has to be concatenated."""
    d = theta.shape[-1]
    a, b = (theta[..., 0], phi[..., 0]) if w_f is None else (theta @ wide(w_f[:d]), phi @ wide(w_f[d:]))
    return (a if beta is None else a + wide(beta)), b


# ------------------------------------------------------------------------------------------------------ fast paths


def _associative(theta, phi, value, kind, **_options):
    """theta (phi^T value / k): the k keys become one d x v matrix."""
    with as_given(theta):
        return (wide(theta) @ mean_product(phi, value)).to(value.dtype)


def mean_product(phi: Float[Tensor, "b k d"], value: Float[Tensor, "b k v"]) -> Float[Tensor, "b d v"]:
    """phi^T value / k in float32 or better, where no sum over halves overflows."""
    with as_given(phi):
        return wide(phi).mT @ wide(value) / phi.shape[1]


def _sorted(theta, phi, value, kind, *, scale, w_f, beta):
    """A sum of ramps over the line of scores, read off at every query: see `wholeframe.ops.non_local.concatenation`."""
    with as_given(theta):
        a, b = _rank_one(wide(theta), wide(phi), w_f, beta)
        (y,) = pair_sums(a, b, wide(value), ("ramp",), phi.shape[1])
        return y.to(value.dtype)


def _no_sorting(*inputs: Tensor) -> str | None:
    if torch.onnx.is_in_onnx_export():
        return "ONNX has no searchsorted; leave backend='auto'"
    if inputs and inputs[0].device.type == "mps":
        return "it sums its blocks in float64, which mps has not; leave backend='auto'"
    return None


def _knots(s: Sizes) -> int:
    """Two scores, the products within blocks, two lines per knot, interpolation between two rows per query."""
    return (s.q + s.k) * s.d + (s.k * (BLOCK + 4) + 2 * s.q) * s.v


DOT = {
    "associative": Impl(_associative, never, lambda s: (s.q + s.k) * s.d * s.v),
    "dense": Impl(_dense, never, both_products),
}
CONCATENATION = {
    # Sorting and gathering take the time of ten times its products: measured, it overtakes `dense` at 400 positions.
    "sorted": Impl(_sorted, _no_sorting, _knots, lambda *_: 11),
    "dense": Impl(_dense, never, lambda s: (s.q + s.k) * s.d + s.q * s.k * s.v),
}
TABLES = {
    "gaussian": {**SELF_SOFTMAX, "dense": Impl(_dense, never, both_products, matrix_slowness)},
    "embedded_gaussian": {**SOFTMAX, "dense": Impl(_dense, never, both_products, matrix_slowness)},
    "euclidean_gaussian": {**EUCLIDEAN, "dense": Impl(_dense, never, distances, matrix_slowness)},
    "dot": DOT,
    "concatenation": CONCATENATION,
}


def pairwise_backends(kind: Kind) -> tuple[str, ...]:
    """The names that `backend` takes for this kind, besides `"auto"`."""
    return tuple(TABLES[kind])
