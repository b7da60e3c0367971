"""How time and memory of a block grow with the map: a power law for every block, pass and mode.

    y = a n^p,        log y = log a + p log n by least squares

n is the number of positions. The maps go from 7 x 7 to 224 x 224 and, as clips, to 64 x 28 x 28. A block stops before
the first map that is expected to take more time or memory than the bounds allow.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from wholeframe.bench.case import enliven
from wholeframe.bench.networks import MIB, compiled
from wholeframe.bench.timing import time_in_turns
from wholeframe.blocks import BLOCKS, Block
from wholeframe.models.measure import peak_bytes

Mode = Literal["eager", "compiled"]
CHANNELS = 256
CELLS = 8  # of an axis of the grid of gsop_position
SIDES = (7, 14, 28, 56, 112, 224)
GRIDS: tuple[tuple[int, ...], ...] = (
    *((side, side) for side in SIDES),
    *((frames, 28, 28) for frames in (4, 8, 16, 32, 64)),
)
PASSES = ("forward", "both")


@dataclass(frozen=True)
class Bounds:
    """Where a block stops: seconds of one pass, and bytes of its peak memory."""

    seconds: float
    bytes: float


@dataclass(frozen=True)
class Point:
    """One block on one map: median milliseconds of a pass, its peak memory in MiB; "both" has the backward pass too."""

    block: str
    grid: tuple[int, ...]
    channels: int
    mode: Mode
    kind: str
    ms: float
    spread: float
    mib: float
    macs: int

    @property
    def positions(self) -> int:
        """n, the number of positions of the map."""
        return math.prod(self.grid)


@dataclass(frozen=True)
class Stopped:
    """A block that is not measured on a map, nor on larger ones, and why."""

    block: str
    grid: tuple[int, ...]
    mode: Mode
    kind: str
    reason: str


@dataclass(frozen=True)
class Law:
    """y = constant n^exponent; `within` is the factor by which a measured value differs from it at most."""

    exponent: float
    constant: float
    within: float

    def at(self, positions: int) -> float:
        """y at this number of positions."""
        return self.constant * positions**self.exponent


def fit(positions: Sequence[int], values: Sequence[float]) -> Law:
    """The power law through positive values, by least squares of their logarithms.

        p = cov(log n, log y) / var(log n),        log a = mean(log y) - p mean(log n)

    Raises:
        ValueError: for fewer than two different numbers of positions, and for a value that is not positive.
    """
    if len(set(positions)) < 2:
        raise ValueError(f"a power law needs two sizes or more, and there is {len(set(positions))}; measure more sizes")
    if min(values) <= 0:
        raise ValueError(f"a power law needs positive values, got {min(values)}; leave it out")
    x, y = [math.log(n) for n in positions], [math.log(value) for value in values]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    exponent = covariance / sum((a - mean_x) ** 2 for a in x)
    constant = mean_y - exponent * mean_x
    within = max(abs(b - constant - exponent * a) for a, b in zip(x, y, strict=True))
    return Law(exponent, math.exp(constant), math.exp(within))


def measure_scale(
    name: str,
    mode: Mode,
    grids: Sequence[tuple[int, ...]],
    bounds: Bounds,
    *,
    channels: int,
    rounds: int,
    device: torch.device,
) -> Iterator[Point | Stopped]:
    """Measure a block on maps of one rank, from small to large, in both passes.

    Args:
        name: of the block, a key of `BLOCKS`.
        mode: eager or compiled, which compiles again for each map.
        grids: of one rank, with a growing number of positions.
        bounds: where the block stops.
        channels: of the maps; the batch is one sample.
        rounds: number of turns of the time.
        device: of the measurement.
    """
    size = {"size": (CELLS,) * len(grids[0])} if name == "gsop_position" else {}  # one number per axis of the grid
    block = BLOCKS[name].make(channels, **size)
    assert isinstance(block, nn.Module)  # Every block is one, but a protocol cannot require it.
    enliven(block)
    block.to(device).eval()
    for kind in PASSES:
        before: list[Point] = []
        for grid in grids:
            reason = too_large(before, block, grid, bounds)
            if reason is not None:
                yield Stopped(name, grid, mode, kind, reason)
                break
            point = _measured(name, block, grid, mode, kind, channels, rounds, device)
            before.append(point)
            yield point


def too_large(before: Sequence[Point], block: Block, grid: tuple[int, ...], bounds: Bounds) -> str | None:
    """Why a map is not measured, from the sizes before it; None if it is.

    The time is expected to grow with the multiply-adds of the definition, or with the positions where that is faster;
    the memory as between the last two sizes, at least with the positions.
    """
    if not before:
        return None
    last, positions = before[-1], math.prod(grid)
    larger = positions / last.positions
    growth = max(larger, block.multiply_adds(grid) / max(last.macs, 1))
    seconds = last.ms / 1000 * growth
    power = 1.0
    if len(before) > 1 and before[-2].mib > 0 and last.mib > 0:
        power = max(1.0, math.log(last.mib / before[-2].mib) / math.log(last.positions / before[-2].positions))
    needed = last.mib * MIB * larger**power
    if seconds > bounds.seconds:
        return f"it would take about {seconds:.0f} s, and the bound is {bounds.seconds:g} s (--seconds)"
    if needed > bounds.bytes:
        return f"it would take about {needed / 2**30:.1f} GiB, and the bound is {bounds.bytes / 2**30:g} GiB (--gib)"
    return None


def _measured(
    name: str,
    block: nn.Module,
    grid: tuple[int, ...],
    mode: Mode,
    kind: str,
    channels: int,
    rounds: int,
    device: torch.device,
) -> Point:
    assert isinstance(block, Block)
    x = torch.randn(1, channels, *grid, device=device)
    if mode == "compiled":
        torch.compiler.reset()
    run = _pass(kind, compiled(block) if mode == "compiled" else block, x)
    timed = time_in_turns({"ours": run}, device, rounds, budget=math.inf).samples["ours"]
    _forget(block, x)
    memory = peak_bytes(run, device) / MIB
    _forget(block, x)
    macs = block.multiply_adds(grid)
    return Point(name, grid, channels, mode, kind, 1000 * timed.median, timed.spread, memory, macs)


def _pass(kind: str, module: nn.Module, x: torch.Tensor) -> Callable[[], object]:
    def both() -> None:
        _forget(module, x)
        module(x.requires_grad_()).sum().backward()

    return torch.no_grad()(lambda: module(x)) if kind == "forward" else both


def _forget(module: nn.Module, x: torch.Tensor) -> None:
    for tensor in (x, *module.parameters()):
        tensor.grad = None
