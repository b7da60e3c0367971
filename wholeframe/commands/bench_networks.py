"""`wholeframe bench --networks`: what blocks cost in whole networks, against the plain backbone and against peers."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from wholeframe.bench import network_cases
from wholeframe.bench.networks import Layout, Mode, NetworkOutcome, Setting, measure_network, settings
from wholeframe.bench.sides import build_sides
from wholeframe.commands.bench_record import new_results, written
from wholeframe.commands.plain import console
from wholeframe.train.limits import at_least

COLUMNS = (
    "network",
    "setting",
    "pass",
    "time",
    "memory",
    "peer",
    "floor",
    "over floor",
    "blocks, ms",
    "plain ms",
    "spread",
)
LEGEND = (
    "the setting is batch, layout, mode and threads; time and memory are ours / plain backbone, medians of turns in "
    "one process, with the goal after the slash; peer is peer / plain backbone; floor is the same ratio if the "
    "blocks took the least time that their multiply-adds or bytes need at the rates of this machine (products as in "
    "the plain backbone: {gmacs} G multiply-adds/s, copies: {copy} GiB/s), and over floor is the time that the "
    "blocks take over the least; blocks is a profile of the eager network (products + passes over memory + Python, "
    "which is slower under the profiler); a training step is forward, backward and SGD; memory is the peak above "
    "weights, their gradients and the input."
)


@dataclass(frozen=True)
class Options:
    """Compare networks with blocks with their plain backbone and with peers' networks, in turns in one process.

    A row takes minutes: time three to four turns of a training step, times the turns, times the settings.
    """

    networks: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[NAMES...]")]
    """networks to measure; without a name, those of the table of goals and blocks in timm's and torchvision's
    backbones. Other names of `wholeframe models` have no goals"""
    batch: tuple[int, ...] = (1,)
    """samples in a batch, one number or several"""
    layout: tuple[Layout, ...] = ("contiguous",)
    """order of the axes in memory, one or both"""
    mode: tuple[Mode, ...] = ("eager",)
    """eager, compiled by `torch.compile`, or fused by `wf.fuse` (inference alone), or several"""
    threads: tuple[int, ...] = (1, 2)
    """threads of one operation, one number or several"""
    rounds: int = 15
    """turns per comparison; turns in which the machine was slow are discarded"""
    budget: float = math.inf
    """seconds per comparison, after at least three turns; without a limit by default"""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("benchmarks/results")
    """folder for the JSON lines; every run writes a new file"""

    def __post_init__(self):
        for name, values, usual in (("batch", self.batch, 1), ("threads", self.threads, 1)):
            for value in values:
                at_least(name, value, 1, usual)
        at_least("rounds", self.rounds, 1, 15)


def main(arguments: list[str]) -> None:
    """Run `wholeframe bench --networks`."""
    options = tyro.cli(Options, args=arguments, prog="wholeframe bench")
    cases = network_cases.chosen(options.networks)
    every = settings(options.batch, options.layout, options.mode, options.threads)
    file, printer = new_results(options.out), console(190)
    outcomes = list(written(_measured(cases, every, options, printer), file))
    _report(outcomes, printer)
    printer.print(f"written to {file}")


def _measured(
    cases: Sequence[network_cases.NetworkCase], every: Sequence[Setting], options: Options, printer: Console
) -> Iterator[NetworkOutcome]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for case in cases:
        try:
            sides = build_sides(case, device)
        except ImportError as error:
            printer.print(f"{case.name}: left out, because {error.name} is not installed (uv run --extra bench)")
            continue
        if sides.missing is not None:
            printer.print(
                f"{case.name}: without its peer, because {sides.missing} is not installed (uv run --extra bench)"
            )
        for setting in every:
            with printer.status(f"{case.name}, {_words(setting)}"):
                yield from measure_network(
                    case, sides, setting, rounds=options.rounds, budget=options.budget, device=device
                )


def _report(outcomes: Sequence[NetworkOutcome], printer: Console) -> None:
    table = Table(box=SIMPLE, pad_edge=False)
    for index, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if index < 3 else "right", no_wrap=True)
    for o in outcomes:
        table.add_row(
            o.network,
            _words(o),
            o.kind,
            _within(o.ratio, o.goal, o.near_floor),
            _within(o.memory_ratio, o.memory_goal),
            "" if o.peer_ratio is None else f"{o.peer_ratio:.3f} {o.peer}",
            f"{o.floor:.3f}",
            f"{o.over_floor:.2f}",
            _shares(o.blocks),
            f"{o.plain_ms:.1f}",
            f"{100 * o.ours_spread:.0f} %",
        )
    printer.print(table)
    if outcomes:
        gmacs, copy = (_range(getattr(o, rate) for o in outcomes) for rate in ("product_gmacs", "copy_gibs"))
        printer.print(LEGEND.format(gmacs=gmacs, copy=copy))
    reached = [yes for o in outcomes for yes in o.reached]
    printer.print(
        f"{sum(reached)} of {len(reached)} goals were reached: time (also where the blocks take at most 1.15 of the "
        "least), memory, and faster than the peer"
    )
    differences = [o.difference for o in outcomes if o.difference is not None]
    if differences:
        printer.print(
            f"the outputs of ours and of the peers differ by at most {max(differences):.1e} of what the blocks add"
        )


def _words(of: Setting | NetworkOutcome) -> str:
    return f"{of.batch}, {of.layout}, {of.mode}, {of.threads}"


def _within(ratio: float, goal: float | None, near_floor: bool = False) -> str:
    if goal is None:
        return f"{ratio:.3f}"
    missed = " (at the floor)" if near_floor else " (missed)"
    return f"{ratio:.3f} / {goal:g}{'' if ratio <= goal else missed}"


def _shares(blocks: dict[str, float] | None) -> str:
    return "" if blocks is None else " + ".join(f"{blocks[part]:.1f}" for part in ("products", "passes", "python"))


def _range(values: Iterator[float]) -> str:
    found = sorted(values)
    low, high = f"{found[0]:.0f}", f"{found[-1]:.0f}"
    return low if low == high else f"{low} to {high}"
