"""Which positions the CGNL output of a query comes from: a signed map over all positions, for the query alone.

    y_ci = sum_j m_ci(j),    m_ci(j) = sum_c' f(theta_ci, phi_c'j) value_c'j,    c' over the channels of c's group
    w_i(j) = sum_c y_ci m_ci(j) / sum_c y_ci^2

The map sums to one. A position with w > 0 supports the output of the query, one with w < 0 opposes it. For the dot
product m_ci = theta_ci m with the map m of the group, whose sum is the scalar of the group; with one group,
w = m / sum m is the same for every query.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.cgnl.dense import GAMMA, ORDER, Kernel, gnl_weights, grouped_tokens, taylor_coefficients
from wholeframe.ops.layout import as_given, wide


def dense_contributions(
    theta: Float[Tensor, "b d q"],
    phi: Float[Tensor, "b d n"],
    value: Float[Tensor, "b d n"],
    groups: int,
    kernel: Kernel,
    *,
    gamma: float | Float[Tensor, ""] = GAMMA,
    order: int = ORDER,
) -> Float[Tensor, "b q n"]:
    """The definition of `contributions`: it builds f of every pair of tokens of the queries and of all positions."""
    d, n = phi.shape[1:]
    queries, keys, values = (grouped_tokens(maps, groups) for maps in (theta, phi, value))
    terms = gnl_weights(queries, keys, kernel, gamma=gamma, order=order) * wide(values)[:, :, None]
    m = terms.unflatten(3, (d // groups, n)).sum(dim=3).unflatten(2, (d // groups, -1)).flatten(1, 2)  # (b, d, q, n)
    y = m.sum(dim=3)
    return (y[..., None] * m).sum(dim=1) / _positive(y.square().sum(dim=1))


def contributions(
    theta: Float[Tensor, "b d q"],
    phi: Float[Tensor, "b d n"],
    value: Float[Tensor, "b d n"],
    groups: int,
    kernel: Kernel,
    *,
    gamma: float | Float[Tensor, ""] = GAMMA,
    order: int = ORDER,
) -> Float[Tensor, "b q n"]:
    """The part of every position in the output of each query, w_i(j) above, in time linear in the positions.

    Args:
        theta: embeddings of the queries.
        phi, value: those of all positions.
        groups: of channels.
        kernel, gamma, order: see `compact_gnl`.

    Returns:
        The maps, in float32 or better; zero for a query whose output is zero.
    """
    with as_given(theta):
        theta, phi, value = (wide(maps).unflatten(1, (groups, -1)) for maps in (theta, phi, value))
        if kernel == "rbf":
            each = _of_each_channel(theta, phi, value, gamma)
        else:
            each = _of_each_power(
                theta, phi, value, [0.0, 1.0] if kernel == "dot" else taylor_coefficients(gamma, order)
            )
        weights, squares = each
        return weights / _positive(squares)


def _of_each_power(
    theta: Tensor, phi: Tensor, value: Tensor, coefficients: list[float | Tensor]
) -> tuple[Tensor, Tensor]:
    """f is a polynomial, so m_ci = sum_p c_p theta_ci^p M_p with the maps M_p = sum_c' phi_c'^p value_c' of a group."""
    powers = [(p, c) for p, c in enumerate(coefficients) if isinstance(c, Tensor) or c]
    maps = torch.stack([(phi**p * value).sum(dim=2) for p, _ in powers], dim=2)  # (b, g, p, n)
    bases = torch.stack([c * theta**p for p, c in powers], dim=3)  # (b, g, e, p, q)
    y = torch.einsum("zgepq,zgp->zgeq", bases, maps.sum(dim=3))
    weights = torch.einsum("zgeq,zgepq,zgpn->zqn", y, bases, maps)
    return weights, y.square().sum(dim=(1, 2))


def _of_each_channel(theta: Tensor, phi: Tensor, value: Tensor, gamma: float | Tensor) -> tuple[Tensor, Tensor]:
    """One channel of the queries in every group at a time, so that memory is that of the map times the queries."""
    b, n, q = phi.shape[0], phi.shape[3], theta.shape[3]
    weights, squares = phi.new_zeros(b, q, n), phi.new_zeros(b, q)
    for channel in theta.unbind(dim=2):  # (b, g, q)
        for query in range(q):
            f = torch.exp(-gamma * (channel[:, :, query, None, None] - phi).square())
            m = (f * value).sum(dim=2)  # (b, g, n)
            y = m.sum(dim=2, keepdim=True)
            weights[:, query] += (y * m).sum(dim=1)
            squares[:, query] += y.square().sum(dim=(1, 2))
    return weights, squares


def _positive(squares: Float[Tensor, "b q"]) -> Float[Tensor, "b q 1"]:
    return squares.where(squares > 0, 1)[..., None]
