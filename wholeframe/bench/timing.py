"""Timing of alternatives against each other on a shared machine.

All run in one process and take turns (A B, B A, A B, ...: after the probes, the first one meets cold caches). A matrix
product and a copy of known size run in every round; rounds in which either is slow are discarded, because another
process had the machine. The result is the median over rounds of the ratio within a round.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from wholeframe.models.measure import seconds

LAP = 0.005  # seconds; faster runs repeat several times per turn
SLOW = 1.3  # a round is discarded when a probe takes this many times its best


@dataclass(frozen=True)
class Probe:
    """Speed of the machine during a round: GFLOP/s of a float32 product, GiB/s of a copy (read and write)."""

    gemm: float
    copy: float


@dataclass(frozen=True)
class Lap:
    """Seconds of one contestant over the accepted rounds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half the distance between quartiles, over the median."""
        if len(self.seconds) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.seconds, n=4)
        return (high - low) / 2 / self.median

    def times_faster_than(self, other: "Lap") -> float:
        """The median over rounds of other / self: above 1, this one is faster."""
        return statistics.median(b / a for a, b in zip(self.seconds, other.seconds, strict=True))


@dataclass(frozen=True)
class Race:
    """The laps of all contestants, the median probe, and the number of discarded rounds."""

    laps: dict[str, Lap]
    probe: Probe
    rejected: int


class Prober:
    """Runs the two probes; owns their buffers, so that they cost no page faults."""

    def __init__(self, device: torch.device):
        self.device = device
        self.a, self.b, self.c = torch.randn(3, 768, 768, device=device)
        self.source = torch.randn(1 << 22, device=device)  # 16 MiB
        self.target = torch.empty_like(self.source)

    def __call__(self) -> Probe:
        product = seconds(lambda: torch.mm(self.a, self.b, out=self.c), self.device)
        copy = seconds(lambda: self.target.copy_(self.source), self.device)
        return Probe(2 * 768**3 / product / 1e9, 2 * self.source.nbytes / copy / 2**30)


def race(contestants: Mapping[str, Callable[[], object]], device: torch.device, rounds: int, budget: float) -> Race:
    """Run all contestants in turns for `rounds` rounds or `budget` seconds, and at least three rounds."""
    prober = Prober(device)
    times = {}
    for name, run in contestants.items():
        run()
        times[name] = max(math.ceil(LAP / seconds(run, device)), 1)
    names = list(contestants)
    probes, table = [], []
    end = time.perf_counter() + budget
    while len(table) < rounds and (len(table) < 3 or time.perf_counter() < end):
        first = len(table) % len(names)
        probes.append(prober())
        table.append({n: seconds(contestants[n], device, times[n]) for n in names[first:] + names[:first]})
    quiet = _quiet(probes)
    laps = {name: Lap(tuple(table[i][name] for i in quiet)) for name in names}
    probe = Probe(statistics.median(p.gemm for p in probes), statistics.median(p.copy for p in probes))
    return Race(laps, probe, rejected=len(table) - len(quiet))


def _quiet(probes: Sequence[Probe]) -> list[int]:
    """The rounds in which no other process slowed the machine; at least the three fastest ones."""
    gemm, copy = max(p.gemm for p in probes), max(p.copy for p in probes)
    slowness = [max(gemm / p.gemm, copy / p.copy) for p in probes]
    order = sorted(range(len(probes)), key=slowness.__getitem__)
    return sorted(i for rank, i in enumerate(order) if slowness[i] <= SLOW or rank < 3)
