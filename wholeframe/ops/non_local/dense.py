"""The definition of the non-local operation, and of the steps around it in the block.

    y_i = 1/C_i  sum_j f(theta_i, phi_j) g_j           (Wang et al., CVPR 2018, eq. 1)
    z   = W_z y + x,    theta, phi, g = W_theta x, W_phi x, W_g x         (eq. 6)

| kind                 | f                                       | C_i        |
|----------------------|-----------------------------------------|------------|
| `gaussian`           | exp(s theta_i . phi_j), theta = phi = x | sum_j f    |
| `embedded_gaussian`  | exp(s theta_i . phi_j)                  | sum_j f    |
| `euclidean_gaussian` | exp(-s/2 |theta_i - phi_j|^2)           | sum_j f    |
| `dot`                | theta_i . phi_j                         | k (keys)   |
| `concatenation`      | relu(w . [theta_i; phi_j] + beta)       | k (keys)   |

Every other file of this folder computes the same numbers faster or with less memory.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.layout import as_given, flat, to_positions, wide
from wholeframe.ops.linear import LinearMap, project
from wholeframe.ops.pooling import pool_keys, pool_positions

Kind = Literal["gaussian", "embedded_gaussian", "euclidean_gaussian", "dot", "concatenation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Scale = float | Literal["sqrt_dim"] | None
PoolOrder = Literal["before", "after"]


def pairwise_weights(
    theta: Float[Tensor, "b q d"],
    phi: Float[Tensor, "b k d"],
    kind: Kind,
    *,
    scale: Scale = None,
    w_f: Float[Tensor, "two_d"] | None = None,
    beta: Float[Tensor, "1"] | None = None,
) -> Float[Tensor, "b q k"]:
    """The normalised weights f / C, one row per query.

    Args:
        theta, phi: the embedded queries and keys.
        kind: the pairwise function f.
        scale: s: None for 1 (the paper), `"sqrt_dim"` for d^-1/2 (the released code), or a number. `dot` and
            `concatenation` have none in any reference and ignore it.
        w_f, beta: of `concatenation`, w_f over the channels of theta first, then those of phi. Without w_f, theta and
            phi are the two scores w_1 . theta_i and w_2 . phi_j, of one channel each.

    Returns:
        `(b, q, k)`, in float32 or float64. Rows of the three gaussians sum to one; rows of `dot` are signed.
    """
    with as_given(theta):
        theta, phi = wide(theta), wide(phi)
        if kind == "dot":
            return theta @ phi.transpose(-2, -1) / phi.shape[1]
        if kind == "concatenation":
            a, b = pair_scores(theta, phi, w_f, beta)
            return F.relu(a[:, :, None] + b[:, None, :]) / phi.shape[1]
        s = resolve_scale(scale, theta.shape[-1])
        if kind == "euclidean_gaussian":
            return (-s / 2 * (theta[:, :, None] - phi[:, None]).square().sum(dim=-1)).softmax(dim=-1)
        return (s * theta @ phi.transpose(-2, -1)).softmax(dim=-1)


def weighted_sum(
    theta: Float[Tensor, "b q d"], phi: Float[Tensor, "b k d"], value: Float[Tensor, "b k v"], kind: Kind, **options
) -> Float[Tensor, "b q v"]:
    """y of eq. 1, with the matrix of weights."""
    weights = pairwise_weights(theta, phi, kind, **options)
    with as_given(theta):
        return (weights @ wide(value)).to(value.dtype)


def resolve_scale(scale: Scale, d: int) -> float:
    """The number that `scale` means with `d` channels."""
    if scale is None:
        return 1.0
    return d**-0.5 if scale == "sqrt_dim" else float(scale)


def pair_scores(
    theta: Float[Tensor, "b q _"],
    phi: Float[Tensor, "b k _"],
    w_f: Float[Tensor, "two_d"] | None,
    beta: Float[Tensor, "1"] | None,
) -> tuple[Float[Tensor, "b q"], Float[Tensor, "b k"]]:
    """a and b of w . [theta_i; phi_j] + beta = a_i + b_j, which needs no concatenation."""
    d = theta.shape[-1]
    a, b = (theta[..., 0], phi[..., 0]) if w_f is None else (theta @ wide(w_f[:d]), phi @ wide(w_f[d:]))
    return (a if beta is None else a + wide(beta)), b


# ---------------------------------------------------------------------------------------- from a map to theta, phi, g


class Layers(NamedTuple):
    """The linear maps of a block. `gaussian` has neither theta nor phi, and only `concatenation` has w_f.

    `together` has the rows of theta, phi and g in one matrix, in a block that is fused for inference.
    """

    theta: LinearMap | None
    phi: LinearMap | None
    g: LinearMap
    out: LinearMap
    w_f: LinearMap | None
    together: LinearMap | None = None


class Keys(NamedTuple):
    """The keys of a map: a pooling window (see `layout.pool_window`), applied before or after phi and g."""

    pool: int | Sequence[int] = 1
    order: PoolOrder = "after"

    @property
    def pooled(self) -> PoolOrder | None:
        """When keys are pooled; None for a window of one."""
        return self.order if (self.pool if isinstance(self.pool, int) else max(self.pool)) > 1 else None


ALL_KEYS = Keys()


def embed(
    x: Float[Tensor, "b c *grid"], layers: Layers, keys: Keys = ALL_KEYS
) -> tuple[Float[Tensor, "b n _"], Float[Tensor, "b k _"], Float[Tensor, "b k d"]]:
    """Theta of all queries, phi and g of all keys; without layers for them, theta and phi are x itself."""
    pooled = None if keys == ALL_KEYS else keys.pooled
    theta, phi, g = layers.theta, layers.phi, layers.g
    source = pool_keys(x, keys.pool) if pooled == "before" else x
    if theta is None or phi is None:
        query = to_positions(x).contiguous()
        key = query if pooled != "before" else to_positions(source)
        (value,) = project(flat(source), g)
    elif layers.together is not None:
        weight, bias = layers.together
        d, v = theta.weight.shape[0], g.weight.shape[0]
        if pooled == "before":
            of_keys = LinearMap(weight[d:], None if bias is None else bias[d:])
            (query,), (key, value) = project(flat(x), theta), project(flat(source), of_keys, widths=[d, v])
        else:
            query, key, value = project(flat(x), layers.together, widths=[d, d, v])
    elif pooled == "before":
        (query,), (key, value) = project(flat(x), theta), project(flat(source), phi, g)
    else:
        query, key, value = project(flat(x), theta, phi, g)
    if pooled == "after":
        key, value = pool_positions(x.shape[2:], keys.pool, key, value)
    return query, key, value
