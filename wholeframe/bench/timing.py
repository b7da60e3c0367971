"""Compares the time of several candidates on a shared machine.

All candidates run in one process and in turns (A B, B A, A B, ...), because the first one after the probes meets cold
caches. Every round also runs two probes, a matrix product and a copy of known size. A round with a slow probe is
discarded, because another process slowed the machine. The result is the median over rounds of the ratio within a round.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from wholeframe.models.measure import seconds

SHORTEST = 0.005  # Seconds. A faster candidate repeats within its turn until the turn is about this long.
SLOW = 1.3  # A round is discarded if a probe takes at least this many times its best time.


@dataclass(frozen=True)
class Probe:
    """Speed of the machine during a round: GFLOP/s of a float32 product, GiB/s of a copy (reads and writes)."""

    gemm: float
    copy: float


@dataclass(frozen=True)
class Samples:
    """Seconds per run of one candidate, one sample for each accepted round."""

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

    def times_faster_than(self, other: "Samples") -> float:
        """The median over rounds of other / self: above 1, this candidate is faster."""
        return statistics.median(b / a for a, b in zip(self.seconds, other.seconds, strict=True))


@dataclass(frozen=True)
class Timing:
    """The samples of all candidates, the median probe, and the number of discarded rounds."""

    samples: dict[str, Samples]
    probe: Probe
    rejected: int


class Prober:
    """Runs the two probes and keeps their buffers, because a new buffer costs page faults."""

    def __init__(self, device: torch.device):
        self.device = device
        self.a, self.b, self.c = torch.randn(3, 768, 768, device=device)
        self.source = torch.randn(1 << 22, device=device)  # 16 MiB
        self.target = torch.empty_like(self.source)

    def __call__(self) -> Probe:
        product = seconds(lambda: torch.mm(self.a, self.b, out=self.c), self.device)
        copy = seconds(lambda: self.target.copy_(self.source), self.device)
        return Probe(2 * 768**3 / product / 1e9, 2 * self.source.nbytes / copy / 2**30)


def time_in_turns(
    candidates: Mapping[str, Callable[[], object]], device: torch.device, rounds: int, budget: float
) -> Timing:
    """Time all candidates in turns.

    Args:
        candidates: the functions to time, by name.
        device: the device that they use.
        rounds: number of rounds at most.
        budget: seconds after which no further round starts; three rounds run in any case.
    """
    prober = Prober(device)
    times = {}
    for name, run in candidates.items():
        run()
        times[name] = max(math.ceil(SHORTEST / seconds(run, device)), 1)
    names = list(candidates)
    probes, table = [], []
    end = time.perf_counter() + budget
    while len(table) < rounds and (len(table) < 3 or time.perf_counter() < end):
        first = len(table) % len(names)
        probes.append(prober())
        table.append({n: seconds(candidates[n], device, times[n]) for n in names[first:] + names[:first]})
    quiet = _quiet(probes)
    samples = {name: Samples(tuple(table[i][name] for i in quiet)) for name in names}
    probe = Probe(statistics.median(p.gemm for p in probes), statistics.median(p.copy for p in probes))
    return Timing(samples, probe, rejected=len(table) - len(quiet))


def _quiet(probes: Sequence[Probe]) -> list[int]:
    """Indices of the rounds in which no other process slowed the probes; at least those of the three fastest."""
    gemm, copy = max(p.gemm for p in probes), max(p.copy for p in probes)
    slowness = [max(gemm / p.gemm, copy / p.copy) for p in probes]
    order = sorted(range(len(probes)), key=slowness.__getitem__)
    return sorted(i for rank, i in enumerate(order) if slowness[i] <= SLOW or rank < 3)
