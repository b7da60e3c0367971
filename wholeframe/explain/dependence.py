"""How much a block's output depends on the query: the query-independence statistics of GCNet (Cao et al., 2019).

Each is the mean of a distance over all ordered pairs of positions, including pairs of a position with itself:

| statistic    | a vector per position            | distance                                            |
|--------------|----------------------------------|-----------------------------------------------------|
| `input`      | x_i                              | d_cos(u, v) = (1 - cos(u, v)) / 2, between 0 and 1  |
| `output`     | z_i - x_i, the change of the map | d_cos                                               |
| `attention`  | w_i, the weights of query i      | d_cos                                               |
| `divergence` | w_i as a distribution            | Jensen-Shannon, natural logarithm, 0 to ln 2        |

Where `output` is much smaller than `input`, the block adds nearly the same vector at every position. Trained networks
show this; fresh ones do not, because their attention depends on the query.

`keys_used` is the mean over the queries of exp(H(w_i)) / k, with the entropy H: the effective number of keys as a share
of all k. It is 1 where every key weighs the same, and 1/k where one has all the weight.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wholeframe.blocks.protocol import Block
from wholeframe.ops import to_positions
from wholeframe.surgery.probe import evaluating

PAIRS_TIMES_KEYS = 10_000_000
"""of the divergence of one sample: a tenth of a second; all queries of a 14 x 14 grid, 112 of a 28 x 28 grid"""


@dataclass(frozen=True)
class Dependence:
    """The statistics of every sample, `(b,)` each, in float64.

    `attention` is None for a block without attention; `divergence` and `keys_used` are None also where the weights of a
    query are not a distribution, for the kinds `dot` and `concatenation`. A statistic is nan where every vector is
    zero, such as `output` of a block that is an identity.
    """

    input: Tensor
    output: Tensor
    attention: Tensor | None
    divergence: Tensor | None
    keys_used: Tensor | None


@torch.no_grad()
def dependence(
    block: nn.Module, x: Tensor, *, queries: Sequence[int] | Tensor | None = None, chunk: int = 32
) -> Dependence:
    """Measure how much one block depends on the query: `dependence(wf.NonLocal(64), x).output`.

    The cosine statistics take time linear in the positions, for `attention` as much as the attention itself. The
    divergence takes pairs times keys: seconds for 784 positions, minutes for 3136. `sampled_queries` chooses queries
    that keep it below a second.

    Args:
        block: a block of this package; it runs in eval mode.
        x: its input `(b, c, *grid)`.
        queries: distinct positions from which to estimate the figures of the attention, such as
            `torch.randperm(3136)[:128]`; the estimates are unbiased. None takes all.
        chunk: queries per step of the divergence; memory is chunk^2 rows of weights, and all rows of a sample.

    Returns:
        The statistics `(b,)` of every sample.

    Raises:
        ValueError: for a module that is not a block, and for fewer than two queries.
    """
    if not isinstance(block, Block):
        raise ValueError(
            f"{type(block).__name__} is not a wholeframe block; give one, such as model.layer3[4].wholeframe"
        )
    n = math.prod(x.shape[2:])
    with evaluating(block):
        added = block(x) - x
        of_input, of_output = (cosine_distance([to_positions(y)]) for y in (x, added))
        if not block.has_attention:
            return Dependence(of_input, of_output, None, None, None)
        index = torch.arange(n, device=x.device) if queries is None else torch.as_tensor(queries, device=x.device)
        of_samples = [
            of_weights(block.attention(sample, index).flatten(2), n, has_distributions(block), chunk)
            for sample in x.split(1)
        ]
    of_weights_of_all = (None if values[0] is None else torch.cat(values) for values in zip(*of_samples, strict=True))
    return Dependence(of_input, of_output, *of_weights_of_all)


def of_weights(
    w: Tensor, positions: int, distributions: bool, chunk: int = 32
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """`attention`, `divergence` and `keys_used` of the weights `(b, q, k)` of q of the positions.

    The last two are None unless the weights are distributions.
    """
    w = w.double()
    unbiased = of_pairs(w.shape[1], positions)
    attention = unbiased * cosine_distance([w])
    if not distributions:
        return attention, None, None
    divergence = unbiased * jensen_shannon(w, chunk)
    return attention, divergence, effective_keys(w).mean(dim=1)


def has_distributions(block: Block) -> bool:
    """Whether the weights of every query of this block are a distribution over the keys."""
    return block.has_attention and getattr(block, "kind", None) not in ("dot", "concatenation")


def sampled_queries(positions: int, keys: int, generator: torch.Generator) -> Tensor:
    """All positions, or as many distinct random ones as keep pairs times keys at `PAIRS_TIMES_KEYS`, at least 16."""
    affordable = max(math.isqrt(PAIRS_TIMES_KEYS // keys), 16)
    return torch.randperm(positions, generator=generator)[:affordable].sort().values


def cosine_distance(chunks: Iterable[Tensor]) -> Tensor:
    """1/n^2 sum_ij (1 - cos(v_i, v_j)) / 2 = (1 - |mean of v_i / |v_i| |^2) / 2: linear in n, `(b,)`.

    The vectors come in chunks `(b, m, c)`. Zero vectors have no direction and are left out.
    """
    total, count = torch.zeros(()), torch.zeros(())
    for v in chunks:
        v = v.double()
        length = v.norm(dim=-1, keepdim=True)
        total = total.to(v.device) + (v / length.where(length > 0, 1)).sum(dim=1)
        count = count.to(v.device) + (length > 0).sum(dim=1)
    return ((1 - (total / count).square().sum(dim=-1)) / 2).clamp(min=0)


def dense_cosine_distance(v: Tensor) -> Tensor:
    """The definition of `cosine_distance` of `(b, n, c)`: it builds the n x n cosines."""
    distances = []
    for vectors in v.double():
        vectors = vectors[vectors.any(dim=-1)]
        cosines = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=-1)
        distances.append((1 - cosines).mean() / 2)
    return torch.stack(distances)


def jensen_shannon(w: Tensor, chunk: int = 32) -> Tensor:
    """The mean Jensen-Shannon divergence over all ordered pairs of the distributions `(b, q, k)`, `(b,)`.

        JS(u, v) = H((u + v) / 2) - (H(u) + H(v)) / 2    with the entropy H

    JS is symmetric, so each pair of different chunks is counted twice.
    """
    total = torch.zeros((), dtype=w.dtype, device=w.device)
    chunks = w.split(chunk, dim=1)
    for start, u in enumerate(chunks):
        for v in chunks[start:]:
            half = (_entropy(u)[:, :, None] + _entropy(v)[:, None]) / 2
            pairs = _entropy((u[:, :, None] + v[:, None]) / 2) - half
            total = total + (1 if v is u else 2) * pairs.sum(dim=(1, 2))
    return total / w.shape[1] ** 2


def dense_jensen_shannon(w: Tensor) -> Tensor:
    """The definition of `jensen_shannon` of `(b, n, k)`: 1/2 sum_k (u ln(2u / (u + v)) + v ln(2v / (u + v)))."""
    u, v = w.double()[:, :, None], w.double()[:, None]
    terms = torch.xlogy(u, u) + torch.xlogy(v, v) - torch.xlogy(u + v, (u + v) / 2)
    return terms.sum(dim=-1).mean(dim=(1, 2)) / 2


def effective_keys(w: Tensor) -> Tensor:
    """exp(H(w)) / k of distributions `(..., k)`: the effective number of keys, as a share of them."""
    return _entropy(w).exp() / w.shape[-1]


def _entropy(w: Tensor) -> Tensor:
    return torch.special.entr(w).sum(dim=-1)


def of_pairs(q: int, n: int) -> float:
    """Corrects for pairs of a position with itself, whose distance is 0: 1/q of the sampled pairs, 1/n of all."""
    if q == n:
        return 1.0
    if q < 2:
        raise ValueError(f"queries must have at least two of the {n} positions, got {q}; None takes all")
    return (q / (q - 1)) * ((n - 1) / n)
