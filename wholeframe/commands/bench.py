"""`wholeframe bench`: our blocks against their peers, side by side; `bench data` is in bench_data.py."""

import dataclasses
import importlib
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from wholeframe.study.bench import CASES, Case, Outcome, run_case
from wholeframe.train.run import environment

COLUMNS = ("block", "size", "", "rival", "time", "memory", "ours ms", "ours MiB", "spread", "gemm", "copy")


@dataclass(frozen=True)
class Options:
    """Time and memory of our blocks and of the peers that are installed (`uv run --extra bench wholeframe bench`)."""

    quick: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """the sizes that fit into five minutes on two cores"""
    only: tuple[str, ...] = ()
    """names of blocks; all without it"""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("benchmarks/results")
    """where the JSON lines go, one file per run"""
    rounds: int = 15
    """turns per comparison"""
    budget: float = 6.0
    """seconds per comparison, three turns at least"""


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["data"]:
        return importlib.import_module("wholeframe.commands.bench_data").main(arguments[1:])
    options = tyro.cli(Options, args=arguments, prog="wholeframe bench")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = [case for case in CASES if case.quick or not options.quick]
    chosen = [case for case in chosen if not options.only or case.block in options.only]
    if not chosen:
        raise ValueError(f"no case is left; --only takes {', '.join(sorted({case.block for case in CASES}))}")
    options.out.mkdir(parents=True, exist_ok=True)
    record = {"commit": _commit(), "threads": torch.get_num_threads(), "dtype": "float32", **environment()}
    file = options.out / f"{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    console = Console()
    console.width = max(console.width, 132)  # the table is read in files and logs as well
    outcomes: list[Outcome] = []
    with file.open("w") as stream:
        for case in chosen:
            for outcome in _outcomes(case, options, device, console):
                outcomes.append(outcome)
                stream.write(json.dumps({**record, **dataclasses.asdict(outcome)}) + "\n")
                stream.flush()
    console.print(_table(outcomes))
    console.print(
        "time and memory are rival / ours, above 1 where ours is faster or smaller, with the goal behind the stroke; "
        "f is forward, f+b forward and backward; gemm (GFLOP/s) and copy (GiB/s) say how quiet the machine was.\n"
        f"written to {file}"
    )


def _outcomes(case: Case, options: Options, device: torch.device, console: Console) -> list[Outcome]:
    size = "x".join(map(str, case.shape))
    try:
        with console.status(f"{case.block} {size} against {case.rival}"):
            return list(run_case(case, rounds=options.rounds, budget=options.budget, device=device))
    except ImportError as error:
        console.print(f"{case.block} {size}: left out, {error.name} is not installed (uv run --extra bench)")
        return []


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    for index, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if index < 4 else "right", no_wrap=True)
    for o in outcomes:
        table.add_row(
            o.block,
            "x".join(map(str, o.shape)),
            {"forward": "f", "both": "f+b"}[o.mode],
            o.rival,
            _reached(o.ratio, o.goal),
            _reached(o.memory_ratio, o.memory_goal),
            f"{o.ours_ms:.1f}",
            f"{o.ours_mib:.1f}",
            f"{100 * o.ours_spread:.0f} %",
            f"{o.gemm_gflops:.0f}",
            f"{o.copy_gibs:.0f}",
        )
    return table


def _reached(ratio: float, goal: float | None) -> str:
    if goal is None:
        return f"{ratio:.3g}"
    return f"[{'green' if ratio >= goal else 'red'}]{ratio:.3g} / {goal:g}"


def _commit() -> str:
    described = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return described.stdout.strip() or "unknown"
