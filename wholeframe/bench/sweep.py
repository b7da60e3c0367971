"""Compares every block with every alternative at every size, to find where an alternative is the better choice.

The input is two samples of 256 channels, from 7 x 7 to 112 x 112 positions. The alternatives are the installed peers
and our own definitions and backends, all with the width of our block. An alternative that builds a matrix of all pairs
stops at the size where a pass needs more than a few GiB; beyond it our block is measured alone.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn

from wholeframe import ops
from wholeframe.bench import references
from wholeframe.bench.case import Case, Forward, Outcome, against, against_backend, against_definition, alone
from wholeframe.blocks import BLOCKS, NonLocal

BATCH, CHANNELS, SIDES = 2, 256, (7, 14, 28, 56, 112)
PAIRS = 56  # The largest side at which one number for each pair of positions fits into memory.
CONCATENATED = 28  # The largest side at which a vector for each pair fits.
DIFFERENCES = 14  # The largest side at which a vector for each pair and all intermediate gradients fit.
TOLERATED = 0.95  # An alternative that takes less than this share of our time is the better choice.


@dataclass(frozen=True)
class Alternative:
    """Another implementation of one of our blocks."""

    block: str
    reference: str
    build: Callable[[], tuple[Forward, Forward]]
    largest: int = SIDES[-1]
    """side of the largest map on which it runs"""
    clips: bool = False
    """whether it takes only clips; an image is then a clip of one frame"""

    def case(self, side: int) -> Case:
        grid = (1, side, side) if self.clips else (side, side)
        return Case(self.block, (BATCH, CHANNELS, *grid), self.reference, self.build)


def _make(block: str) -> Callable[..., nn.Module]:
    return partial(BLOCKS[block].make, CHANNELS)  # pyright: ignore[reportReturnType]  # every Block is an nn.Module


def _backends(block: str, **largest: int) -> list[Alternative]:
    """All backends of the block; `largest` gives the side of the largest map of those that build a matrix of pairs."""
    made = _make(block)()
    assert isinstance(made, NonLocal)
    names = ops.backend_names(made.kind)
    return [
        Alternative(block, name, against_backend(_make(block), name), largest.get(name, SIDES[-1])) for name in names
    ]


def _mmcv(block: str, mode: str) -> Alternative:
    return Alternative(block, "mmcv", against("mmcv.NonLocal2d", in_channels=CHANNELS, mode=mode), PAIRS)


def _defined(block: str, definition: Callable, largest: int = SIDES[-1]) -> Alternative:
    return Alternative(block, "definition", against_definition(_make(block), definition), largest)


ALTERNATIVES: tuple[Alternative, ...] = (
    _mmcv("nl", "embedded_gaussian"),
    Alternative("nl", "timm", against("timm.NonLocalAttn", in_channels=CHANNELS, rd_ratio=1 / 2), PAIRS),
    Alternative(
        "nl",
        "pytorchvideo",
        against("pytorchvideo.create_nonlocal", dim_in=CHANNELS, dim_inner=CHANNELS // 2, pool_size=None),
        PAIRS,
        clips=True,
    ),
    *_backends("nl", dense=PAIRS),
    _mmcv("nl_gaussian", "gaussian"),
    *_backends("nl_gaussian", gram=PAIRS, dense=PAIRS),
    *_backends("nl_euclidean", dense=DIFFERENCES),
    _mmcv("nl_dot", "dot_product"),
    *_backends("nl_dot", dense=PAIRS),
    *_backends("nl_concatenation", dense=PAIRS),
    _defined("nl_concatenation", references.pairs_concatenated, CONCATENATED),
    _defined("snl", references.plain_context),
    Alternative("gc", "mmcv", against("mmcv.ContextBlock", in_channels=CHANNELS, ratio=1 / 16)),
    Alternative(
        "gc",
        "timm",
        against("timm.GlobalContext", channels=CHANNELS, fuse_add=True, fuse_scale=False, rd_ratio=1 / 16),
    ),
    _defined("gc", references.plain_context),
    Alternative("se", "timm", against("timm.SEModule", channels=CHANNELS)),
    _defined("se", references.plain_context),
    Alternative("ese", "timm", against("timm.EffectiveSEModule", channels=CHANNELS)),
    _defined("ese", references.plain_context),
    Alternative("eca", "timm", against("timm.EcaModule", channels=CHANNELS)),
    _defined("eca", references.plain_context),
    _defined("cgnl", references.cgnl_in_a_loop),
    _defined("cgnl_taylor", references.cgnl_in_a_loop),
    _defined("gsop_channel", references.gsop_channel_as_released, PAIRS),
    _defined("gsop_position", references.gsop_position_as_released),
)


def cases(alternatives: Sequence[Alternative] = ALTERNATIVES, sides: Sequence[int] = SIDES) -> Iterator[Case]:
    """The cases by block and by size: each alternative that runs at the size, or our block alone."""
    for block in dict.fromkeys([*(other.block for other in alternatives), *BLOCKS]):
        others = [other for other in alternatives if other.block == block]
        for side in sides:
            others_here = [other.case(side) for other in others if side <= other.largest]
            yield from others_here or [Case(block, (BATCH, CHANNELS, side, side), None, alone(_make(block)))]


@dataclass(frozen=True)
class Verdict:
    """The comparison of a block with one alternative in one pass, over all sizes."""

    block: str
    reference: str
    mode: str
    slowest: Outcome
    """the size with our worst ratio of times"""
    largest: Outcome
    """the size with our worst ratio of memory"""

    @property
    def preferred(self) -> bool:
        """Whether the alternative is the faster choice at some size."""
        return self.slowest.ratio is not None and self.slowest.ratio < TOLERATED


def verdicts(outcomes: Iterable[Outcome]) -> list[Verdict]:
    """Our worst ratios for every block and alternative."""
    against: dict[tuple[str, str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.reference is not None:
            against.setdefault((outcome.block, outcome.reference, outcome.mode), []).append(outcome)
    return [
        Verdict(
            *key,
            slowest=min(group, key=lambda o: o.ratio or math.inf),
            largest=min(group, key=lambda o: o.memory_ratio or math.inf),
        )
        for key, group in against.items()
    ]


def growth(outcomes: Iterable[Outcome], block: str, mode: str) -> float | None:
    """The exponent p of memory ~ positions^p between our two largest sizes: 1 is linear. None for a single size."""
    ours = {positions(o): o.ours_mib for o in outcomes if o.block == block and o.mode == mode}
    if len(ours) < 2:
        return None
    below, above = sorted(ours)[-2:]
    return math.log(ours[above] / ours[below]) / math.log(above / below)


def positions(outcome: Outcome) -> int:
    return math.prod(outcome.shape[2:])
