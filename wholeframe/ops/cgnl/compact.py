"""The generalized non-local operation: every channel of every position looks at every other.

    y_i = sum_j f(theta_i, phi_j) value_j,    i, j over all tokens of a group      (Yue et al., NeurIPS 2018, eq. 4)

A token is one number: a channel at a position. A group has l = channels/groups x positions of them.

| kernel   | f                                    | compact form                                              |
|----------|--------------------------------------|-----------------------------------------------------------|
| `dot`    | theta_i phi_j                        | theta_i sum_j phi_j value_j: exact, one scalar a group    |
| `taylor` | e^(-2 gamma) e^(2 gamma theta phi)   | the first order+1 terms of its series: a scalar each      |
| `rbf`    | e^(-gamma (theta_i - phi_j)^2)       | Mercer or Fourier features, to rounding (`ops.gauss_transform`)       |

`gnl` is the definition: it builds f, l x l. `compact_gnl` gives the same y in time and memory linear in l.
"""

import math
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.cgnl.gaussian_rbf import gauss_transform, horner, plan
from wholeframe.ops.layout import as_given, wide

Kernel = Literal["dot", "taylor", "rbf"]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)
GAMMA = 1e-4
ORDER = 3


def gnl_weights(
    theta: Float[Tensor, "b g i"],
    phi: Float[Tensor, "b g j"],
    kernel: Kernel,
    *,
    gamma: float | Float[Tensor, ""] = GAMMA,
    order: int | None = ORDER,
) -> Float[Tensor, "b g i j"]:
    """f of every pair of tokens, in float32 or better. `order` is of `taylor`; None for its limit."""
    with as_given(theta):
        theta, phi = wide(theta)[..., :, None], wide(phi)[..., None, :]
        if kernel == "dot":
            return theta * phi
        if kernel == "rbf":
            return torch.exp(-gamma * (theta - phi).square())
        if order is None:
            return torch.exp(2 * gamma * (theta * phi - 1))
        products = theta * phi
        terms = [c * products**p for p, c in enumerate(taylor_coefficients(gamma, order))]
        return torch.stack(terms).sum(dim=0)


def gnl(
    theta: Float[Tensor, "b g i"],
    phi: Float[Tensor, "b g j"],
    value: Float[Tensor, "b g j"],
    kernel: Kernel,
    *,
    gamma: float | Float[Tensor, ""] = GAMMA,
    order: int | None = ORDER,
) -> Float[Tensor, "b g i"]:
    """GNL, the dense generalized non-local operation: time and memory are the square of the tokens."""
    weights = gnl_weights(theta, phi, kernel, gamma=gamma, order=order)
    with as_given(theta):
        return (weights @ wide(value)[..., None])[..., 0]


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
    """CGNL: y of `gnl` in time and memory linear in the tokens, in float32 or better.

    Where references disagree, on what the paper's RBF is (`kernel`): the paper's eq. 10 has the prefactor
    exp(-gamma (theta^2 + phi^2)) and calls it constant for normalised embeddings; the released code (KaiyuYue/
    cgnl-network.pytorch, `SpatialCGNLx`) takes exp(-2 gamma) and normalises nothing: `"taylor"`. Their limits are
    different functions wherever |theta| or |phi| is not 1; `"rbf"` is the kernel that the equation names.

    Args:
        theta, phi, value: tokens of each sample and group, as `grouped_tokens` lays them out.
        kernel: `"dot"`, `"taylor"` or `"rbf"`.
        gamma: of `taylor` and `rbf`.
        order: the highest power of `taylor`: order + 1 terms. With 0, theta and phi are not looked at.
        max_span: of `rbf`, see `ops.gauss_transform`.
    """
    with as_given(theta):
        theta, phi, value = wide(theta), wide(phi), wide(value)
        if kernel == "dot":
            return theta * attention_scalar(phi, value)
        if kernel == "rbf":
            return gauss_transform(theta, phi, value, gamma, max_span=max_span)
        moments = _moments(phi, value, order)
        scaled = [c * moment for c, moment in zip(taylor_coefficients(gamma, order), moments, strict=True)]
        return horner(scaled, theta)


def attention_scalar(phi: Float[Tensor, "b g j"], value: Float[Tensor, "b g j"]) -> Float[Tensor, "b g 1"]:
    """sum_j phi_j value_j, summed in float32 or better: all that the dot product needs to know of phi and value.

    A product and a sum, no `bmm`: as a dot product of long rows that takes fifty times as long on a CPU.
    """
    return (wide(phi) * wide(value)).sum(dim=-1, keepdim=True)


def taylor_coefficients(gamma: float | Tensor, order: int) -> list[float | Tensor]:
    """e^(-2 gamma) (2 gamma)^p / p! for p = 0 .. order."""
    c = torch.exp(-2 * gamma) if isinstance(gamma, Tensor) else math.exp(-2 * gamma)
    coefficients = [c]
    for p in range(1, order + 1):
        c = c * (2 * gamma / p)
        coefficients.append(c)
    return coefficients


def compact_gnl_macs(
    tokens: int,
    kernel: Kernel,
    *,
    order: int = ORDER,
    max_span: float | None = None,
    dtype: torch.dtype = torch.float32,
) -> int:
    """Products with a token that `compact_gnl` takes for so many tokens. No counter sees them: they are elementwise.

    `dot` multiplies phi by value; theta waits for W_z. `taylor` has a running product and a step of Horner's scheme
    for every power. `rbf` takes two products a feature, at the span `max_span`, or at 1 where the data decide.
    """
    if kernel == "dot":
        return tokens
    features = order if kernel == "taylor" else plan(1.0 if max_span is None else max_span, dtype).features
    return 2 * features * tokens


def grouped_tokens(y: Float[Tensor, "b d n"], groups: int) -> Float[Tensor, "b g l"]:
    """Contiguous groups of channels, each with all its channels at all positions in one row."""
    return y.unflatten(1, (groups, -1)).flatten(2)


def _moments(phi: Tensor, value: Tensor, order: int) -> list[Tensor]:
    """sum_j phi_j^p value_j for p = 0 .. order, by running products."""
    moments = [value.sum(dim=-1, keepdim=True)]
    for _ in range(order):
        value = value * phi
        moments.append(value.sum(dim=-1, keepdim=True))
    return moments
