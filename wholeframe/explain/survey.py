"""The statistics of dependence of every block over many images, and what follows from them.

Those of `wholeframe.explain.dependence` are of one image. Next to them are the shares of variance between images
(`wholeframe.explain.variance`) of three vectors per position:

| share               | a vector per position                                             |
|---------------------|-------------------------------------------------------------------|
| `query_between`     | theta_i, the query of a non-local block (x_i for kind `gaussian`)  |
| `attention_between` | w_i, the weights of query i                                       |
| `output_between`    | z_i - x_i, the change of the map                                  |

No statistic can show that a block may be replaced by one with a single query: see `wholeframe.explain.collapse`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wholeframe.blocks.non_local import NonLocal
from wholeframe.blocks.protocol import Block
from wholeframe.explain.attention import outer_blocks, site_of
from wholeframe.explain.dependence import cosine_distance, has_distributions, of_weights, sampled_queries
from wholeframe.explain.seen import runs_of
from wholeframe.explain.variance import Variance
from wholeframe.messages import listed
from wholeframe.ops import to_positions
from wholeframe.surgery.probe import evaluating

STATISTICS = ("input", "output", "attention", "divergence", "keys_used")
SHARES = ("query_between", "attention_between", "output_between")


@dataclass(frozen=True)
class Statistics:
    """The statistics of one block.

    Args:
        site, block: the name of its site and its class.
        values: the names of `STATISTICS` that the block has, each with its value for every image, `(m,)`; nan where it
            is not defined. In the head of a detector a region counts as an image, and so does each run of a block that
            runs several times.
        shares: of `SHARES`; None where the block has no such vector, and see `Variance.share`.
        positions, keys: the largest number of an image.
        queries: the largest number of queries of an image that the figures of the attention are estimated from.
    """

    site: str
    block: str
    values: dict[str, Tensor]
    shares: dict[str, float | None]
    positions: int
    keys: int | None
    queries: int

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.values["input"])

    def mean(self, name: str) -> float | None:
        """The mean of one statistic over the images that have it; None if none has."""
        values = self.values.get(name)
        return None if values is None or values.isnan().all() else values.nanmean().item()

    def notes(self) -> list[str]:
        """What a reader of the figures has to know, in sentences."""
        output, divergence, keys_used = map(self.mean, ("output", "divergence", "keys_used"))
        query = self.shares["query_between"]
        found = []
        if output is None:
            found.append(f"{self.site}: the block adds nothing to its input, so its output has no statistics")
        if output is not None and divergence is not None and keys_used is not None:
            differs = math.sqrt(2 * output)
            if keys_used >= DIFFUSE and differs >= VISIBLE and output > OUTRUNS * divergence:
                found.append(
                    f"{self.site}: the attention is diffuse (a query spreads over {keys_used:.0%} of the keys), so "
                    f"weights that hardly differ (Jensen-Shannon {divergence:.2g}) still move the output, by about "
                    f"{differs:.1%}; judge this block by its output and not by its attention"
                )
        if query is not None and query > BETWEEN:
            found.append(
                f"{self.site}: {query:.0%} of the variance of the query lies between images, which no statistic within "
                "an image sees, so one query for all images may fail where the other figures look small"
            )
        return found


DIFFUSE, VISIBLE, OUTRUNS, BETWEEN = 0.5, 0.01, 2.0, 0.5
"""When `Statistics.notes` speaks: half of the keys; 1 % of the output, since vectors at a small mean cosine distance d
differ by about sqrt(2 d) of their length; an output that differs twice as much as the attention; half of the
variance. They start sentences and license nothing."""


class Tally:
    """Collects the statistics of one block, one input at a time.

    Args:
        site: its site, for the messages.
        block: the block.
        generator: chooses the queries where a grid is too large for all.
    """

    def __init__(self, site: str, block: nn.Module, generator: torch.Generator):
        self.site, self.block, self.generator = site, block, generator
        self._values: dict[str, list[Tensor]] = {}
        self._variances = {name: Variance() for name in SHARES}
        self._positions, self._keys, self._queries = 0, 0, 0

    @torch.no_grad()
    def add(self, x: Tensor) -> None:
        """Add an input `(b, c, *grid)` of the block; it runs in eval mode."""
        block, n = self.block, math.prod(x.shape[2:])
        assert isinstance(block, Block)
        self._positions = max(self._positions, n)
        with evaluating(block):
            added = to_positions(block(x) - x)
            self._keep(input=cosine_distance([to_positions(x)]), output=cosine_distance([added]))
            self._spread("output_between", added, n)
            if isinstance(block, NonLocal):
                positions = to_positions(x)
                self._spread("query_between", positions if block.theta is None else block.theta(positions), n)
            if not block.has_attention:
                return
            keys = math.prod(block.key_grid(x.shape[2:])) if isinstance(block, NonLocal) else n
            queries = sampled_queries(n, keys, self.generator)
            self._keys, self._queries = max(self._keys, keys), max(self._queries, len(queries))
            for sample in x.split(1):
                weights = block.attention(sample, queries).flatten(2)
                self._spread("attention_between", weights, n)
                of_sample = of_weights(weights, n, has_distributions(block))
                self._keep(**dict(zip(("attention", "divergence", "keys_used"), of_sample, strict=True)))

    def _keep(self, **values: Tensor | None) -> None:
        for name, value in values.items():
            if value is not None:
                self._values.setdefault(name, []).append(value.cpu())

    def _spread(self, name: str, vectors: Tensor, positions: int) -> None:
        for sample in vectors:
            self._variances[name].add(sample, positions)

    def incomparable(self) -> bool:
        """Whether the keys lie on grids of different sizes, so that the attention has no share between images."""
        return not self._variances["attention_between"].comparable

    def result(self) -> Statistics:
        """The statistics of what was added."""
        return Statistics(
            self.site,
            type(self.block).__name__,
            {name: torch.cat(values) for name, values in self._values.items()},
            {name: variance.share for name, variance in self._variances.items()},
            self._positions,
            self._keys or None,
            self._queries,
        )


def survey(
    network: nn.Module, inputs: Iterable[Tensor | Sequence[Tensor]], *, site: str | None = None, seed: int = 0
) -> tuple[list[Statistics], list[str]]:
    """Measure every block of a network over many inputs.

    Args:
        network: with inserted blocks; it runs in eval mode, once per input.
        inputs: each as the network takes it: a batch `(b, c, *grid)`, or a list of images for a detector.
        site: of one block; None for all.
        seed: of the queries that are taken of large grids.

    Returns:
        The statistics of every block that ran, and sentences about those that did not, and about queries that were
        sampled.

    Raises:
        ValueError: if the network has no block (at this site), there is no input, or none of the blocks ran.
    """
    blocks = {name: site_of(name, network) for name in outer_blocks(network)}
    if not blocks:
        raise ValueError(f"{type(network).__name__} has no wholeframe block to measure; insert one first")
    chosen = {name: place for name, place in blocks.items() if site in (None, name, place)}
    if not chosen:
        raise ValueError(f"there is no block at {site!r}; there are blocks at {', '.join(blocks.values())}")
    generator = torch.Generator().manual_seed(seed)
    tallies: dict[str, Tally] = {}
    given = False
    for example in inputs:
        given = True
        for name, seen in runs_of(network, example, chosen):
            if not len(seen.x):  # The head of a detector that finds nothing sees no region.
                continue
            if name not in tallies:
                tallies[name] = Tally(chosen[name], network.get_submodule(name), generator)
            tallies[name].add(seen.x)
    if not given:
        raise ValueError("there is no input to measure the blocks on; give at least one")
    idle = [place for name, place in chosen.items() if name not in tallies]
    notes = [f"these blocks do not run for these inputs and have no figures: {listed(idle)}"] if idle else []
    if not tallies:
        raise ValueError(notes[0])
    found = [tallies[name].result() for name in chosen if name in tallies]
    sizes = [tallies[name].site for name in tallies if tallies[name].incomparable()]
    if sizes:
        notes.append(
            "the images have grids of several sizes, so no weights of two images compare, and the attention has no "
            f"share between images: {listed(sizes)}"
        )
    return found, notes + _sampled(found, seed)


def _sampled(found: Sequence[Statistics], seed: int) -> list[str]:
    """Which grids were too large for all queries."""
    rows = [f"{row.queries:,} of {row.positions:,} at {row.site}" for row in found if 0 < row.queries < row.positions]
    if not rows:
        return []
    what = "attention, divergence, keys used and the share of the attention between images"
    return [f"{what} are estimated without bias from random queries (seed {seed}): {listed(rows, most=8)}"]
