"""How much the non-local blocks of a trained network depend on the query, for table 1 of GCNet at toy scale."""

import statistics
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wholeframe.blocks import NonLocal
from wholeframe.explain.dependence import dependence
from wholeframe.explain.seen import runs_of

FIGURES = ("cos_input", "cos_output", "cos_attention", "divergence")
"""Names of the statistics in `results.csv`, in the order of `wholeframe.explain.dependence.Dependence`."""

QUERIES = 64
"""Queries of the estimate of the divergence, whose time grows with their square."""


@torch.no_grad()
def query_statistics(network: nn.Module, samples: Tensor) -> dict[str, Any]:
    """The query-independence statistics of the non-local blocks of a network: means over blocks and samples.

    Source: Cao et al., GCNet, 2019 (arXiv 1904.11492), section 3.1; see `wholeframe.explain.dependence`.

    Args:
        network: runs once, in eval mode, if it has a non-local block.
        samples: a batch as the network takes it.

    Returns:
        A figure for each of `FIGURES`; None for all without a non-local block, and for the divergence of weights that
        are not a distribution.
    """
    blocks = {name: block for name, block in network.named_modules() if isinstance(block, NonLocal)}
    seen = [(blocks[name], each.x) for name, each in runs_of(network, samples, blocks)] if blocks else []
    found = [dependence(block, x, queries=_queries(x)) for block, x in seen]
    columns = zip(*((each.input, each.output, each.attention, each.divergence) for each in found), strict=True)
    return dict.fromkeys(FIGURES) | {name: _mean(column) for name, column in zip(FIGURES, columns, strict=False)}


def _queries(x: Tensor) -> Tensor:
    """Positions at equal distances, in every row and frame of the grid."""
    positions = x.shape[2:].numel()
    return torch.linspace(0, positions - 1, min(QUERIES, positions), dtype=torch.float64).round().long()


def _mean(column: Sequence[Tensor | None]) -> float | None:
    """The mean over blocks and samples; None if no block has the figure."""
    there = [figures.mean().item() for figures in column if figures is not None]
    return statistics.mean(there) if there else None
