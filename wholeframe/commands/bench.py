"""`wholeframe bench`: compares our blocks with their peers; `bench data` and `bench exports` have files of their own.

`--networks` is in bench_networks.py and `--scale` in bench_scale.py, with options of their own.
"""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from wholeframe.bench import sweep
from wholeframe.bench.case import Case, Outcome, run_case
from wholeframe.bench.goals import CASES
from wholeframe.commands.bench_record import new_results, written
from wholeframe.explain.figures import draw_scaling

OTHERS = {"--networks": "wholeframe.commands.bench_networks", "--scale": "wholeframe.commands.bench_scale"}
COLUMNS = ("block", "size", "", "reference", "time", "memory", "ours ms", "ours MiB", "spread", "gemm", "copy")
PASSES = {"forward": "f", "both": "f+b"}
LEGEND = (
    "time and memory are ratios reference / ours, above 1 where ours is faster or smaller{goals}; f is forward, f+b "
    "forward and backward{probes}."
)


@dataclass(frozen=True)
class Options:
    """Compare time and memory of our blocks with the installed peers (`uv run --extra bench wholeframe bench`).

    By default, every block with a goal is measured at the sizes for which the goal is set. `--networks` measures what
    blocks cost in whole networks, and `--scale` how time and memory of a block grow with the map; both have options of
    their own, which `wholeframe bench --networks --help` and `wholeframe bench --scale --help` list.
    """

    quick: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """measure only the sizes that take at most five minutes together on two cores"""
    sweep: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """compare every block with every alternative from 7 x 7 to 112 x 112 positions, with plots (takes far longer)"""
    only: tuple[str, ...] = ()
    """names of blocks; by default all"""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("benchmarks/results")
    """folder for the JSON lines and the plots; every run writes new files"""
    rounds: int = 15
    """turns per comparison, at most"""
    budget: float | None = None
    """seconds per comparison, after at least three turns; by default 6, and 1 in a sweep"""


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["data"]:
        return importlib.import_module("wholeframe.commands.bench_data").main(arguments[1:])
    if arguments[:1] == ["exports"]:
        return importlib.import_module("wholeframe.commands.bench_exports").main(arguments[1:])
    others = [name for name in OTHERS if name in arguments]
    if len(others) > 1:
        raise ValueError("--networks and --scale are two measurements; give one of them")
    if others:
        return importlib.import_module(OTHERS[others[0]]).main(arguments)
    options = tyro.cli(Options, args=arguments, prog="wholeframe bench")
    if options.quick and options.sweep:
        raise ValueError("--quick is a part of the goals, and --sweep measures other cases; give one of them")
    cases = list(sweep.cases()) if options.sweep else [case for case in CASES if case.quick or not options.quick]
    chosen = [case for case in cases if not options.only or case.block in options.only]
    if not chosen:
        raise ValueError(f"--only leaves no case; it takes {', '.join(sorted({case.block for case in cases}))}")
    file = new_results(options.out)
    stem = file.with_suffix("")
    console = Console()
    console.width = max(console.width, 132)  # The table is also read in files and logs, which have no width.
    outcomes = list(written(_measured(chosen, options, console), file))
    if options.sweep:
        _report_sweep(outcomes, stem, console)
    else:
        _report_goals(outcomes, console)
    console.print(f"written to {file}", markup=False)


def _measured(chosen: Sequence[Case], options: Options, console: Console) -> Iterator[Outcome]:
    """Run the cases."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    budget = options.budget if options.budget is not None else 1.0 if options.sweep else 6.0
    missing: set[str | None] = set()
    for index, case in enumerate(chosen):
        name = f"{case.block} {_size(case)} against {case.reference or 'none'}"
        try:
            with console.status(f"{name} ({index + 1} of {len(chosen)})"):
                yield from run_case(case, rounds=options.rounds, budget=budget, device=device)
        except ImportError as error:
            if error.name not in missing:
                console.print(f"{name}: left out, because {error.name} is not installed (uv run --extra bench)")
            missing.add(error.name)


# ---------------------------------------------------------------------------------------------------------- the goals


def _report_goals(outcomes: Sequence[Outcome], console: Console) -> None:
    table = Table(box=SIMPLE, pad_edge=False)
    for index, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if index < 4 else "right", no_wrap=True)
    for o in outcomes:
        table.add_row(
            o.block,
            _size(o),
            PASSES[o.mode],
            o.reference or "none",
            _reached(o.ratio, o.goal) if o.reference else _within(o.ours_ms / 1000, o.seconds_goal, "s"),
            _reached(o.memory_ratio, o.memory_goal) if o.reference else _within(o.ours_mib / 1024, o.gib_goal, "GiB"),
            f"{o.ours_ms:.1f}",
            f"{o.ours_mib:.1f}",
            f"{100 * o.ours_spread:.0f} %",
            f"{o.gemm_gflops:.0f}",
            f"{o.copy_gibs:.0f}",
        )
    console.print(table)
    goals = ", with the goal after the slash"
    probes = "; gemm (GFLOP/s) and copy (GiB/s) measure the speed of the machine meanwhile"
    console.print(LEGEND.format(goals=goals, probes=probes))
    reached = [yes for o in outcomes for yes in o.reached]
    console.print(f"{sum(reached)} of {len(reached)} goals for time and memory were reached")


def _reached(ratio: float | None, goal: float | None) -> str:
    if ratio is None or goal is None:
        return "" if ratio is None else f"{ratio:.3g}"
    return f"[{'green' if ratio >= goal else 'red'}]{ratio:.3g} / {goal:g}"


def _within(value: float, limit: float | None, unit: str) -> str:
    if limit is None:
        return f"{value:.2g} {unit}"
    return f"[{'green' if value <= limit else 'red'}]{value:.2g} {unit} / {limit:g}"


# ---------------------------------------------------------------------------------------------------------- the sweep


def _report_sweep(outcomes: Sequence[Outcome], stem: Path, console: Console) -> None:
    table = Table(box=SIMPLE, pad_edge=False)
    for name in ("block", "against", "", "time", "at", "memory", "at", "our memory grows as"):
        table.add_column(name, justify="left" if name in ("block", "against", "", "at") else "right", no_wrap=True)
    found = sweep.verdicts(outcomes)
    for verdict in found:
        power = sweep.growth(outcomes, verdict.block, verdict.mode)
        time_ratio = _reached(verdict.slowest.ratio, None)
        table.add_row(
            verdict.block,
            verdict.reference,
            PASSES[verdict.mode],
            f"[red]{time_ratio}" if verdict.preferred else time_ratio,
            _size(verdict.slowest),
            _reached(verdict.largest.memory_ratio, None),
            _size(verdict.largest),
            "" if power is None else f"n^{power:.2f}",
        )
    console.print(table)
    console.print("each row shows the worst ratios over all sizes: " + LEGEND.format(goals="", probes=""))
    slow = sum(verdict.preferred for verdict in found)
    console.print(f"{slow} of {len(found)} alternatives take less than {sweep.TOLERATED} of our time at some size")
    for mode, name in (("forward", "forward"), ("both", "forward and backward")):
        title = f"{sweep.BATCH} samples of {sweep.CHANNELS} channels, {name}"
        file = stem.with_name(f"{stem.name}-{mode}.png")
        draw_scaling(_lines(outcomes, mode), file, title)
        console.print(f"plotted in {file}", markup=False)


def _lines(outcomes: Sequence[Outcome], mode: str) -> dict[str, dict[str, list[tuple[int, float, float]]]]:
    """The points of the plots: those of the references, and ours from the first case of each size."""
    lines: dict[str, dict[str, list[tuple[int, float, float]]]] = {}
    for o in outcomes:
        if o.mode != mode:
            continue
        at, drawn = sweep.positions(o), lines.setdefault(o.block, {"ours": []})
        if at not in (drawn_at for drawn_at, *_ in drawn["ours"]):
            drawn["ours"].append((at, o.ours_ms, o.ours_mib))
        if o.reference is not None and o.reference_ms is not None and o.reference_mib is not None:
            drawn.setdefault(o.reference, []).append((at, o.reference_ms, o.reference_mib))
    return lines


def _size(of: Case | Outcome) -> str:
    return "x".join(map(str, of.shape))
