"""The definition of the generalized non-local operation: every channel of every position attends to every other.

    y_i = sum_j f(theta_i, phi_j) value_j,    i, j over all tokens of a group      (Yue et al., NeurIPS 2018, eq. 4)

A token is one number: a channel at a position. A group has l = channels / groups x positions tokens.

| kernel   | f                                    | in linear time (`ops.compact_gnl`)                              |
|----------|--------------------------------------|-----------------------------------------------------------------|
| `dot`    | theta_i phi_j                        | theta_i sum_j phi_j value_j: exact, one scalar per group        |
| `taylor` | e^(-2 gamma) e^(2 gamma theta phi)   | the first order+1 terms of its series: one scalar per term      |
| `rbf`    | e^(-gamma (theta_i - phi_j)^2)       | Mercer or Fourier features, to rounding (`ops.gauss_transform`) |
"""

import math
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.layout import as_given, wide

Kernel = Literal["dot", "taylor", "rbf"]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)
GAMMA = 1e-4
ORDER = 3


def gnl(
    theta: Float[Tensor, "b g i"],
    phi: Float[Tensor, "b g j"],
    value: Float[Tensor, "b g j"],
    kernel: Kernel,
    *,
    gamma: float | Float[Tensor, ""] = GAMMA,
    order: int | None = ORDER,
) -> Float[Tensor, "b g i"]:
    """GNL, the dense operation: y_i = sum_j f(theta_i, phi_j) value_j, in quadratic time and memory.

    Args:
        theta, phi, value: the tokens of each sample and group, as `grouped_tokens` arranges them.
        kernel: f, see the table above.
        gamma: of `"taylor"` and `"rbf"`.
        order: of `"taylor"`, the highest power; None for the limit of the series.

    Returns:
        y in float32 or better.
    """
    weights = gnl_weights(theta, phi, kernel, gamma=gamma, order=order)
    with as_given(theta):
        return (weights @ wide(value)[..., None])[..., 0]


def gnl_weights(
    theta: Float[Tensor, "b g i"],
    phi: Float[Tensor, "b g j"],
    kernel: Kernel,
    *,
    gamma: float | Float[Tensor, ""] = GAMMA,
    order: int | None = ORDER,
) -> Float[Tensor, "b g i j"]:
    """f of every pair of tokens, in float32 or better; arguments as of `gnl`."""
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


def taylor_coefficients(gamma: float | Float[Tensor, ""], order: int) -> list[float | Float[Tensor, ""]]:
    """e^(-2 gamma) (2 gamma)^p / p! for p = 0 .. order."""
    c = torch.exp(-2 * gamma) if isinstance(gamma, Tensor) else math.exp(-2 * gamma)
    coefficients = [c]
    for p in range(1, order + 1):
        c = c * (2 * gamma / p)
        coefficients.append(c)
    return coefficients


def grouped_tokens(y: Float[Tensor, "b d n"], groups: int) -> Float[Tensor, "b g l"]:
    """The tokens of contiguous groups of channels: all channels of a group at all positions in one row."""
    return y.unflatten(1, (groups, -1)).flatten(2)
