"""The cost of each way to compute the operation, and every measured constant of this folder.

Measured on 2026-11-28 with torch 2.15.0, float32, one thread of an AMD EPYC whose two cores are shared. Each cell is
the minimum over the turns of an interleaved timing: milliseconds of a forward pass, of forward and backward. To measure
again with 256 channels, run
`wholeframe bench --sweep --only nl nl_gaussian nl_euclidean nl_dot nl_concatenation`.

| kind                | map            | sdpa      | symmetric | gram      | dense     |
|---------------------|----------------|-----------|-----------|-----------|-----------|
| `gaussian`          | 2x512x14x14    | 5.5, 21.5 | 5.5, 17.9 | 4.7, 15.3 | 4.7, 16.9 |
| `gaussian`          | 2x512x28x28    | 41, 143   | 33, 109   | 34, 92    | 36, 109   |
| `gaussian`          | 1x512x56x56    | 256, 900  | 180, 587  | 251, 620  | 248, 665  |
| `gaussian`, pooled  | 2x512x28x28    | 20.7, 70  |           |           | 19.3, 64  |
| `embedded_gaussian` | 2x1024x14x14   | 23.5, 80  |           |           | 23.4, 80  |
| `embedded_gaussian` | 2x512x28x28    | 35.6, 118 |           |           | 36, 110   |
| `embedded_gaussian` | 1x256x56x56    | 75, 260   |           |           | 127, 317  |
| `euclidean_gaussian`| 2x512x28x28    | 37.3, 129 |           |           |           |

So fused attention serves every softmax of two tensors, and `gaussian` of a tensor with itself takes `gram` while the
matrix is small, `symmetric` after that.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from wholeframe.ops.layout import pool_window
from wholeframe.ops.linear import gram_macs
from wholeframe.ops.non_local.dense import Keys

CHUNK = 192
"""queries per chunk of `symmetric`; a pass takes as long from 128 to 512"""
KNOTS = 32
"""knots per block of `sorted`: the fastest of 16 to 128"""
SORTING = 11
"""time of one multiply-add of `sorted`, which sorts and gathers, in those of `dense`: `sorted` overtakes at about 400
positions, whatever the width"""


class Size(NamedTuple):
    """What the cost of one sample depends on.

    n queries; m positions that phi and g read, k of them keys after pooling; c channels, d inner channels.
    """

    n: int
    m: int
    k: int
    c: int
    d: int


def size_of(grid: Sequence[int], keys: Keys, c: int, d: int) -> Size:
    """The size of the operation on a map with this grid."""
    window = pool_window(keys.pool, len(grid))
    n, k = math.prod(grid), math.prod([size // width for size, width in zip(grid, window, strict=True)])
    return Size(n, k if keys.order == "before" else n, k, c, d)


def chunk_size(queries: int) -> int:
    """Queries per chunk: close to `CHUNK`, so that all chunks have nearly the same size."""
    return math.ceil(queries / max(round(queries / CHUNK), 1))


def matrix_is_small(s: Size) -> bool:
    """Whether n x n weights are no larger than x, as query and as key, and g together: memory stays linear in n."""
    return s.n <= 2 * s.c + s.d


def few_pairs(s: Size) -> bool:
    """Whether the pairs of `concatenation` take less time as a matrix than by sorting."""
    return s.n * s.k <= SORTING * _pairs_by_sorting(s)


# ---------------------------------------------------------------------------- multiply-adds of a block, for one sample
# Products are counted as torch's counter counts them: no softmax, no ReLU, no sums, no normalisation.


def gaussian_dense(s: Size) -> int:
    return (s.m + s.n) * s.c * s.d + s.n * s.k * (s.c + s.d)


def gaussian_gram(s: Size) -> int:
    return (s.m + s.n) * s.c * s.d + gram_macs(s.n, s.c) + s.n * s.k * s.d


def gaussian_symmetric(s: Size) -> int:
    """Logits of every chunk with itself and what follows it; all pairs with the values."""
    chunk = chunk_size(s.n)
    logits = sum(min(chunk, s.n - i) * (s.n - i) for i in range(0, s.n, chunk))
    return (s.m + s.n) * s.c * s.d + logits * s.c + s.n * s.k * s.d


def embedded_dense(s: Size) -> int:
    return _four_maps(s) + 2 * s.n * s.k * s.d


def euclidean_dense(s: Size) -> int:
    """As many for the distances, which are sums of squared differences, as for inner products."""
    return embedded_dense(s)


def euclidean_fused(s: Size) -> int:
    """The keys' squared norms are one more channel of the first product."""
    return embedded_dense(s) + s.n * s.k


def dot_associative(s: Size) -> int:
    return _four_maps(s) + (s.k + min(s.n, s.c)) * s.d * s.d


def dot_gram(s: Size) -> int:
    """x x^T and K x; W_phi, W_g, W_z and W_theta applied to the matrix; the means of theta, phi and g, and W_z."""
    return gram_macs(s.c, s.m) + s.n * s.c * s.c + 2 * (s.d * s.c + s.d * s.d) * s.c + 4 * s.c * s.d


def concatenation_dense(s: Size) -> int:
    return _scored(s) + s.n * s.k * s.d


def concatenation_sorted(s: Size) -> int:
    return _scored(s) + _pairs_by_sorting(s) * s.d


def _pairs_by_sorting(s: Size) -> int:
    """Products within blocks, two lines per knot, interpolation between two rows per query; per channel."""
    return s.k * (KNOTS + 4) + 2 * s.n


def _four_maps(s: Size) -> int:
    return 2 * (s.n + s.m) * s.c * s.d


def _scored(s: Size) -> int:
    """The scores of queries and keys, w_1 W_theta and w_2 W_phi being rows; g and W_z.

    Where keys are pooled after phi, phi itself is computed.
    """
    keys = s.m * s.c + s.d * s.c if s.m == s.k else s.m * s.c * s.d + s.k * s.d
    return s.n * s.c + s.d * s.c + keys + (s.m + s.n) * s.c * s.d
