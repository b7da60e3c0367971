"""What a block shows of itself for one input: the maps by which it weighs positions, or the factors of its gates."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

Kind = Literal["pairwise", "shared", "channel", "position"]
"""`"pairwise"`: a map over the keys for every query. `"shared"`: one map for all queries. `"channel"` and `"position"`:
a factor for every channel, or for every position."""

FACTORS = {
    "channel": "factors by which the block multiplies each channel",
    "position": "factors by which the block multiplies each position",
}
"""what the numbers of gates are"""


class Look(NamedTuple):
    """One map of a block.

    The weights are `(b, q, *key_grid)` for `"pairwise"`, `(b, *grid)` for `"shared"` and `"position"`, and `(b, c)` for
    `"channel"`. `rule` says in a sentence what they are where they are not probabilities; `covariance` is the matrix
    `(b, c', c')` that gates are computed from; `window` has the cells that a key covers along every axis, where the
    sizes of the two grids do not say it.
    """

    kind: Kind
    weights: Float[Tensor, "b *map"]
    rule: str | None = None
    covariance: Float[Tensor, "b k k"] | None = None
    window: tuple[int, ...] | None = None


def looks_of(block: Any, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]) -> tuple[Look, ...]:
    """The maps of any block for chosen queries (flat positions): its own `looks`, or its `attention`.

    A block of another package has no `looks`, and its `attention` is shown as it is.
    """
    if hasattr(block, "looks"):
        return block.looks(x, query)
    return (Look("pairwise", block.attention(x, query)),) if block.has_attention else ()


def of_magnitude_one(weights: Float[Tensor, "b q *key_grid"]) -> Float[Tensor, "b q *key_grid"]:
    """The weights of each query divided by the sum of their magnitudes; those of a query without any stay zero."""
    total = weights.flatten(2).abs().sum(dim=2)
    total = total.where(total > 0, 1)
    return weights / total.view(*total.shape, *(1,) * (weights.ndim - 2))
