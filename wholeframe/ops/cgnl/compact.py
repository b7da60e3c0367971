"""CGNL: the generalized non-local operation of `ops.gnl` in time and memory linear in the tokens.

`compact_gnl` gives y of each kernel. `compact_gnl_factors` gives the factors of W_z y for maps of channels, which for
the dot product cost less than y itself: W_z (a theta) = (a W_z) theta, with one scalar a per group.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.backends import in_graph
from wholeframe.ops.cgnl.dense import GAMMA, ORDER, Kernel, grouped_tokens, taylor_coefficients
from wholeframe.ops.cgnl.gaussian_features import plan
from wholeframe.ops.cgnl.gaussian_rbf import gauss_transform
from wholeframe.ops.cgnl.polynomials import horner, moments
from wholeframe.ops.layout import as_given, wide


def compact_gnl(
    theta: Float[Tensor, "b g i"],
    phi: Float[Tensor, "b g j"],
    value: Float[Tensor, "b g j"],
    kernel: Kernel,
    *,
    gamma: float | Float[Tensor, ""] = GAMMA,
    order: int = ORDER,
    max_span: float | None = None,
) -> Float[Tensor, "b g i"]:
    """y_i = sum_j f(theta_i, phi_j) value_j, as `ops.gnl` gives it, in linear time and memory.

    Source: Yue et al., "Compact Generalized Non-local Network", NeurIPS 2018, eq. 7 to 11.

    *Where references disagree*, on the paper's RBF: eq. 10 has the prefactor exp(-gamma (theta^2 + phi^2)) and calls it
    constant for normalised embeddings; the released code (KaiyuYue/cgnl-network.pytorch, `SpatialCGNLx`) takes
    exp(-2 gamma) and normalises nothing: `"taylor"`. The limits of the two are different functions wherever |theta| or
    |phi| is not 1. `"rbf"` is the kernel that the equation names.

    Args:
        theta, phi, value: the tokens of each sample and group, as `grouped_tokens` arranges them.
        kernel: `"dot"`, `"taylor"` or `"rbf"`.
        gamma: of `"taylor"` and `"rbf"`.
        order: of `"taylor"`, the highest power: order + 1 terms. With 0, y does not depend on theta and phi.
        max_span: of `"rbf"`, see `ops.gauss_transform`.

    Returns:
        y in float32 or better.
    """
    with as_given(theta):
        theta, phi, value = wide(theta), wide(phi), wide(value)
        if kernel == "dot":
            # An elementwise product and a sum: a batched dot product of long rows takes fifty times as long on a CPU.
            return theta * (phi * value).sum(dim=-1, keepdim=True)
        if kernel == "rbf":
            return gauss_transform(theta, phi, value, gamma, max_span=max_span)
        sums = moments(phi, value, order + 1)
        return horner([c * m for c, m in zip(taylor_coefficients(gamma, order), sums, strict=True)], theta)


def compact_gnl_factors(
    theta: Float[Tensor, "b d n"],
    phi: Float[Tensor, "b d n"],
    value: Float[Tensor, "b d n"],
    out: Float[Tensor, "c e"],
    groups: int,
    kernel: Kernel,
    *,
    gamma: float | Float[Tensor, ""] = GAMMA,
    order: int = ORDER,
    max_span: float | None = None,
    scale: Literal["sqrt_length"] | None = None,
) -> tuple[Float[Tensor, "... g c_per_group e"], Float[Tensor, "b g e n"]]:
    """The matrices and maps of groups whose product is W_z y for maps of channels, with y of `compact_gnl`.

    Args:
        theta, phi, value: maps of d channels.
        out: W_z, one matrix per contiguous group of channels: e = d / groups.
        groups: number of groups; divides c and d.
        kernel, gamma, order, max_span: see `compact_gnl`.
        scale: `"sqrt_length"` divides y by the root of the number of tokens of a group.

    Returns:
        Both in float32 or better; the matrices of all samples, or some for each.
    """
    with as_given(theta):
        if theta.dtype.itemsize < 4:
            theta, phi, value = wide(theta), wide(phi), wide(value)
        width, positions = out.shape[1], theta.shape[2]
        factor = (width * positions) ** -0.5 if scale == "sqrt_length" else 1.0
        matrices = out.to(theta.dtype).unflatten(0, (groups, -1))
        if kernel == "dot":
            a = (phi * value).unflatten(1, (groups, -1)).flatten(2).sum(dim=2)[:, :, None, None] * factor
            y = theta.unflatten(1, (groups, -1))
            # The scalar multiplies the smaller tensor. A graph has to work for any number of positions, so it does
            # not compare sizes.
            return (a * matrices, y) if in_graph() or positions > matrices.shape[1] else (matrices, a * y)
        theta, phi, value = (grouped_tokens(maps, groups) for maps in (theta, phi, value))
        y = factor * compact_gnl(theta, phi, value, kernel, gamma=gamma, order=order, max_span=max_span)
        return matrices, y.unflatten(2, (width, -1))


def compact_gnl_macs(
    tokens: int,
    kernel: Kernel,
    *,
    order: int = ORDER,
    max_span: float | None = None,
    dtype: torch.dtype = torch.float32,
) -> int:
    """Multiplications per token, times `tokens`, of `compact_gnl`. They are elementwise, so FLOP counters miss them.

    `"dot"` multiplies phi by value; the product with theta is part of W_z. `"taylor"` takes a running product and a
    step of Horner's scheme for every power. `"rbf"` takes two products per feature, at the span `max_span`, or at 1
    where that is None and the span depends on the data.
    """
    if kernel == "dot":
        return tokens
    features = order if kernel == "taylor" else plan(1.0 if max_span is None else max_span, dtype).features
    return 2 * features * tokens
