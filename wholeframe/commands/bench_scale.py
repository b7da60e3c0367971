"""`wholeframe bench --scale`: how time and memory of every block grow with the map, as power laws."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from wholeframe.bench.scale import CHANNELS, GRIDS, Bounds, Law, Mode, Point, Stopped, fit, measure_scale
from wholeframe.blocks import BLOCKS
from wholeframe.commands.bench_record import new_results, written
from wholeframe.commands.plain import console
from wholeframe.messages import one_of
from wholeframe.train.limits import at_least, positive

PASSES = {"forward": "f", "both": "f+b"}
COLUMNS = (
    "block",
    "maps",
    "mode",
    "",
    "sizes",
    "up to",
    "time, ms",
    "within",
    "memory, MiB",
    "within",
    "at the largest",
)
LEGEND = (
    "n is the number of positions; the laws are fitted by least squares of logarithms over all sizes, and within is "
    "the factor by which a measured value differs from its law at most. One sample of {channels} channels; f is "
    "forward, f+b forward and backward to the input and all weights; memory is the peak of a pass"
)


@dataclass(frozen=True)
class Options:
    """Measure time and memory of blocks from 7 x 7 to 224 x 224 positions and on clips of up to 64 x 28 x 28."""

    scale: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[BLOCKS...]")]
    """names of blocks (`wholeframe blocks`); without a name, all"""
    mode: tuple[Mode, ...] = ("eager", "compiled")
    """eager or compiled by `torch.compile`, or both; each size is compiled on its own"""
    channels: int = CHANNELS
    """of the maps"""
    seconds: float = 10.0
    """a block stops before a map on which one pass is expected to take longer"""
    gib: float = 4.0
    """a block stops before a map on which one pass is expected to need more memory"""
    rounds: int = 5
    """turns per size"""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("benchmarks/results")
    """folder for the JSON lines; every run writes a new file"""

    def __post_init__(self):
        at_least("channels", self.channels, 1, CHANNELS)
        at_least("rounds", self.rounds, 1, 5)
        positive("seconds", self.seconds, 10)
        positive("gib", self.gib, 4)


def main(arguments: list[str]) -> None:
    """Run `wholeframe bench --scale`."""
    options = tyro.cli(Options, args=arguments, prog="wholeframe bench")
    for name in options.scale:
        one_of("--scale", name, tuple(BLOCKS))
    file, printer = new_results(options.out), console(150)
    found = list(written(_measured(options.scale or tuple(BLOCKS), options, printer), file))
    printer.print(_table(found))
    printer.print(LEGEND.format(channels=options.channels))
    for stopped in found:
        if isinstance(stopped, Stopped):
            printer.print(
                f"{stopped.block}, {stopped.mode}, {PASSES[stopped.kind]}: {_size(stopped.grid)} is left out, because "
                f"{stopped.reason}"
            )
    printer.print(f"written to {file}")


def _measured(names: Sequence[str], options: Options, printer: Console) -> Iterator[Point | Stopped]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bounds = Bounds(options.seconds, options.gib * 2**30)
    for name, mode in itertools.product(names, options.mode):
        for rank in dict.fromkeys(len(grid) for grid in GRIDS):
            grids = [grid for grid in GRIDS if len(grid) == rank]
            with printer.status(f"{name}, {mode}"):
                yield from measure_scale(
                    name, mode, grids, bounds, channels=options.channels, rounds=options.rounds, device=device
                )


def _table(found: Sequence[Point | Stopped]) -> Table:
    """A row for each block, rank of map, mode and pass: the laws of its time and memory."""
    table = Table(box=SIMPLE, pad_edge=False)
    for index, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if index < 4 else "right", overflow="fold")
    groups: dict[tuple[str, int, str, str], list[Point]] = {}
    for point in found:
        if isinstance(point, Point):
            groups.setdefault((point.block, len(point.grid), point.mode, point.kind), []).append(point)
    for (block, rank, mode, kind), points in groups.items():
        largest, at = points[-1], [point.positions for point in points]
        laws = [fit(at, values) if len(at) > 1 and min(values) > 0 else None for values in _columns(points)]
        table.add_row(
            block,
            "images" if rank == 2 else "clips",
            mode,
            PASSES[kind],
            str(len(points)),
            _size(largest.grid),
            *(text for law in laws for text in _law(law)),
            f"{largest.ms:,.1f} ms, {largest.mib:,.1f} MiB",
        )
    return table


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [point.ms for point in points], [point.mib for point in points]


def _law(law: Law | None) -> tuple[str, str]:
    return ("", "") if law is None else (f"{law.constant:.2g} n^{law.exponent:.2f}", f"x{law.within:.2f}")


def _size(grid: Sequence[int]) -> str:
    return "x".join(map(str, grid))
