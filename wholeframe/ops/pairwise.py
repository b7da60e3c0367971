"""The non-local operation: every query looks at every key.

    y_i = 1/C_i  sum_j f(theta_i, phi_j) value_j                        (Wang et al., CVPR 2018, eq. 1)

| kind                 | f                                       | C_i        |
|----------------------|-----------------------------------------|------------|
| `gaussian`           | exp(s theta_i . phi_j), theta = phi = x | sum_j f    |
| `embedded_gaussian`  | exp(s theta_i . phi_j)                  | sum_j f    |
| `euclidean_gaussian` | exp(-s/2 |theta_i - phi_j|^2)           | sum_j f    |
| `dot`                | theta_i . phi_j                         | k (keys)   |
| `concatenation`      | relu(w . [theta_i; phi_j] + beta)       | k (keys)   |

`pairwise_weights` is the definition: it builds f / C. `pairwise` gives the same y by the cheapest exact way.
"""

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.choose import Impl, Sizes, choose, never
from wholeframe.ops.layout import wide
from wholeframe.ops.piecewise import BLOCK, pair_sums

Kind = Literal["gaussian", "embedded_gaussian", "euclidean_gaussian", "dot", "concatenation"]
Scale = float | Literal["sqrt_dim"] | None
KINDS: tuple[Kind, ...] = get_args(Kind)
# Queries of which weights are held at a time: from 128 to 512 a forward pass takes as long.
STRIP = 192


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
    with torch.autocast(theta.device.type, enabled=False):
        theta, phi = wide(theta), wide(phi)
        if kind == "dot":
            return theta @ phi.mT / phi.shape[1]
        if kind == "concatenation":
            a, b = _rank_one(theta, phi, w_f, beta)
            return F.relu(a[:, :, None] + b[:, None, :]) / phi.shape[1]
        if kind == "euclidean_gaussian":
            theta, phi = _distance_as_product(theta, phi, resolve_scale(scale, theta.shape[-1]))
            scale = None
        return (resolve_scale(scale, theta.shape[-1]) * theta @ phi.mT).softmax(dim=-1)


def pairwise(
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
    made of (memory stays linear in positions), `dot` by associativity wherever that needs fewer multiply-adds,
    `concatenation` by sorting the keys wherever that is faster. `backend` names one way: see `backends`.
    """
    sizes = Sizes(theta.shape[1], phi.shape[1], theta.shape[2], value.shape[2])
    impl = choose(TABLES[kind], backend, sizes, theta, phi, value)
    return impl.run(theta, phi, value, kind, scale=scale, w_f=w_f, beta=beta)


def pairwise_macs(sizes: Sizes, kind: Kind, backend: str = "auto") -> int:
    """Multiply-adds of `pairwise` for one sample (softmax, ReLU and divisions not counted, as counters do)."""
    return choose(TABLES[kind], backend, sizes).macs(sizes)


def resolve_scale(scale: Scale, d: int) -> float:
    """The number that `scale` stands for with `d` channels."""
    if scale is None:
        return 1.0
    return d**-0.5 if scale == "sqrt_dim" else float(scale)


# ------------------------------------------------------------------------------------------ dense: the definition


def _dense(theta, phi, value, kind, **options):
    weights = pairwise_weights(theta, phi, kind, **options)
    with torch.autocast(theta.device.type, enabled=False):
        return (weights @ wide(value)).to(value.dtype)


def _rank_one(theta, phi, w_f, beta):
    """w . [theta_i; phi_j] + beta = a_i + b_j: the pair never has to be concatenated."""
    d = theta.shape[-1]
    a, b = (theta[..., 0], phi[..., 0]) if w_f is None else (theta @ wide(w_f[:d]), phi @ wide(w_f[d:]))
    return (a if beta is None else a + wide(beta)), b


def _distance_as_product(theta, phi, s):
    """-s/2 |theta - phi|^2 as one inner product, up to a term per query, which a softmax cancels.

    Distances do not change when both sides are shifted; shifting by the keys' mean keeps digits that a common
    offset would eat.
    """
    mean = phi.mean(dim=1, keepdim=True)
    theta, phi = theta - mean, phi - mean
    one = torch.ones_like(theta[..., :1])
    square = phi.square().sum(dim=-1, keepdim=True)
    return torch.cat([s * theta, one], dim=-1), torch.cat([phi, -s / 2 * square], dim=-1)


# ------------------------------------------------------------------------------------------------------ fast paths


def _sdpa(theta, phi, value, kind, *, scale, w_f, beta):
    """softmax(theta phi^T) value without the q x k matrix.

    The fused kernels accumulate logits and softmax in float32 for half inputs. They need equal widths and a unit
    last stride, and silently build the whole matrix otherwise: so the narrower side is padded with zeros.
    """
    if kind == "euclidean_gaussian":
        # The squared norms need the digits that half precision lacks.
        with torch.autocast(theta.device.type, enabled=False):
            theta, phi = _distance_as_product(wide(theta), wide(phi), resolve_scale(scale, theta.shape[-1]))
            return _fused(theta, phi, wide(value), 1.0).to(value.dtype)
    return _fused(theta, phi, value, resolve_scale(scale, theta.shape[-1]))


def _fused(theta, phi, value, s):
    v = value.shape[-1]
    width = max(theta.shape[-1], v)
    theta, phi, value = (_of_width(x, width) for x in (theta, phi, value))
    y = F.scaled_dot_product_attention(theta[:, None], phi[:, None], value[:, None], scale=s)
    return y[:, 0, :, :v]


def _of_width(x, width):
    if x.shape[-1] < width:
        return F.pad(x, (0, width - x.shape[-1]))
    return x if x.stride(-1) == 1 else x.contiguous()


def _in_strips(theta, phi, value, kind, *, scale, w_f, beta):
    """The definition for some queries at a time. Keeps the narrower values that fused kernels want padded."""
    s = resolve_scale(scale, theta.shape[-1])
    with torch.autocast(theta.device.type, enabled=False):
        dtype, theta, phi, value = value.dtype, wide(theta), wide(phi), wide(value)
        if kind == "euclidean_gaussian":
            (theta, phi), s = _distance_as_product(theta, phi, s), 1.0
        return _Strips.apply(theta, phi, value, s).to(dtype)


class _Strips(torch.autograd.Function):
    """Saves no weights: the backward pass computes them again."""

    generate_vmap_rule = True

    @staticmethod
    def forward(theta, phi, value, s):
        return torch.cat([_softmax(strip, phi, s) @ value for strip in theta.split(STRIP, dim=1)], dim=1)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, ctx.s = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx, *gradients):
        (dy,) = gradients
        theta, phi, value = ctx.saved_tensors
        dtheta, dphi, dvalue = [], torch.zeros_like(phi), torch.zeros_like(value)
        for strip, d in zip(theta.split(STRIP, dim=1), dy.split(STRIP, dim=1), strict=True):
            weights = _softmax(strip, phi, ctx.s)
            dvalue = torch.baddbmm(dvalue, weights.mT, d)
            dweights = d @ value.mT
            mean = (dweights * weights).sum(dim=-1, keepdim=True)
            dlogits = (dweights - mean).mul_(weights)
            dtheta.append(ctx.s * dlogits @ phi)
            dphi = torch.baddbmm(dphi, dlogits.mT, ctx.s * strip)
        return torch.cat(dtheta, dim=1), dphi, dvalue, None


def _softmax(theta, phi, s):
    return (s * theta @ phi.mT).softmax(dim=-1)


def _associative(theta, phi, value, kind, **_options):
    """theta (phi^T value / k): the k keys become one d x v matrix."""
    with torch.autocast(theta.device.type, enabled=False):
        return (wide(theta) @ mean_product(phi, value)).to(value.dtype)


def mean_product(phi: Float[Tensor, "b k d"], value: Float[Tensor, "b k v"]) -> Float[Tensor, "b d v"]:
    """phi^T value / k in float32 or better, where no sum over halves overflows."""
    with torch.autocast(phi.device.type, enabled=False):
        return wide(phi).mT @ wide(value) / phi.shape[1]


def _sorted(theta, phi, value, kind, *, scale, w_f, beta):
    """A sum of ramps over the line of scores, read off at every query: see `wholeframe.ops.piecewise`."""
    with torch.autocast(theta.device.type, enabled=False):
        a, b = _rank_one(wide(theta), wide(phi), w_f, beta)
        (y,) = pair_sums(a, b, wide(value), ("ramp",), phi.shape[1])
        return y.to(value.dtype)


def _no_sorting(*inputs: Tensor) -> str | None:
    if torch.onnx.is_in_onnx_export():
        return "ONNX has no searchsorted; leave backend='auto'"
    if inputs and inputs[0].device.type == "mps":
        return "it sums its blocks in float64, which mps has not; leave backend='auto'"
    return None


def _both_products(s: Sizes) -> int:
    return s.q * s.k * (s.d + s.v)


def _distances(s: Sizes) -> int:
    """The keys' squared norms are one more channel of the first product."""
    return s.q * s.k * (s.d + 1 + s.v)


def _knots(s: Sizes) -> int:
    """Two scores, the products within blocks, two lines per knot, interpolation between two rows per query."""
    return (s.q + s.k) * s.d + (s.k * (BLOCK + 4) + 2 * s.q) * s.v


def _frozen_by_tracing(*_inputs: Tensor) -> str | None:
    if torch.compiler.is_compiling() or torch.compiler.is_exporting():
        return "its strips are counted in Python, and a graph would keep their number; leave backend='auto'"
    return None


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


def _matrix_slowness(s: Sizes, *inputs: Tensor) -> float:
    """Out of the question where the matrix outgrows what it is made of: memory would be linear no longer."""
    return math.inf if _fused_at_their_best(inputs) or s.q * s.k > s.q * s.d + s.k * (s.d + s.v) else 1.05


def _fused_at_their_best(inputs: tuple[Tensor, ...]) -> bool:
    """On other devices than a CPU, and in half precision."""
    return any(
        x.device.type != "cpu" or x.dtype.itemsize < 4 or torch.is_autocast_enabled(x.device.type) for x in inputs
    )


SOFTMAX = {
    "sdpa": Impl(_sdpa, never, _both_products, _fused_slowness),
    "strips": Impl(_in_strips, _frozen_by_tracing, _both_products, _strips_slowness),
    "dense": Impl(_dense, never, _both_products, _matrix_slowness),
}
EUCLIDEAN = {
    "sdpa": Impl(_sdpa, never, _distances, _fused_slowness),
    "strips": Impl(_in_strips, _frozen_by_tracing, _distances, _strips_slowness),
    "dense": Impl(_dense, never, _distances, _matrix_slowness),
}
DOT = {
    "associative": Impl(_associative, never, lambda s: (s.q + s.k) * s.d * s.v),
    "dense": Impl(_dense, never, _both_products),
}
CONCATENATION = {
    # Sorting and gathering take the time of ten times its products: measured, it overtakes `dense` at 400 positions.
    "sorted": Impl(_sorted, _no_sorting, _knots, lambda *_: 11),
    "dense": Impl(_dense, never, lambda s: (s.q + s.k) * s.d + s.q * s.k * s.v),
}
TABLES = {
    "gaussian": SOFTMAX,
    "embedded_gaussian": SOFTMAX,
    "euclidean_gaussian": EUCLIDEAN,
    "dot": DOT,
    "concatenation": CONCATENATION,
}


def pairwise_backends(kind: Kind) -> tuple[str, ...]:
    """The names that `backend` takes for this kind, besides `"auto"`."""
    return tuple(TABLES[kind])
