"""`wholeframe bench data DIR`: clips per second of our loader, compared with PyAV alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.box import SIMPLE
from rich.table import Table

from wholeframe.bench.clip_loading import Loading, Time, measure
from wholeframe.commands.plain import console
from wholeframe.data.video.clip_folder import open_clips
from wholeframe.data.video.list_text import TimeUnit
from wholeframe.data.video.sampling import Sampling

GOAL = 0.8


@dataclass(frozen=True)
class Options:
    """Measure clips per second from a folder of videos, compared with PyAV alone on the same frames."""

    data: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """folder of class folders, folder with a list, or the list itself"""
    frames: int = 32
    """number of frames of a clip"""
    stride: int = 2
    """frames of the video from one frame of the clip to the next"""
    size: int = 224
    """side of the clip, pixels"""
    clips: int = 32
    """number of clips per round"""
    rounds: int = 3
    """number of turns of each way of reading"""
    batch: int = 4
    """number of clips per batch"""
    workers: int = 2
    """number of processes that decode"""
    unit: TimeUnit | None = None
    """unit of start and end in your own list, if its columns do not name one"""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Options, args=arguments, prog="wholeframe bench data")
    printer = console()
    folder = open_clips(options.data, unit=options.unit)
    printer.print(str(folder), soft_wrap=True)
    with printer.status("reading"):
        loading = measure(
            folder,
            Sampling(options.frames, options.stride),
            size=options.size,
            clips=options.clips,
            batch=options.batch,
            workers=options.workers,
            rounds=options.rounds,
        )
    printer.print(_table(loading))
    whole, floats, alone = loading.whole, loading.floats, loading.alone
    printer.print(
        f"{loading.clips} clips of {options.frames} x {options.stride} frames at {options.size}, {options.workers} "
        f"worker processes with one thread each. Decoding is {loading.decoding.cpu / whole.cpu:.0%} of the loader's "
        f"CPU time. The loader gives {alone.cpu / whole.cpu:.2f} of the clips that PyAV alone reads in the same CPU "
        f"time, and {alone.wall / whole.wall:.2f} in the same wall-clock time (goal: {GOAL}); if this process also "
        f"converts them to float32, as without an accelerator, {alone.cpu / floats.cpu:.2f} and "
        f"{alone.wall / floats.wall:.2f}.",
        soft_wrap=True,
    )


def _table(loading: Loading) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    for name in ("", "clips/s", "clips per CPU s"):
        table.add_column(name, justify="right" if name else "left")
    ways: dict[str, Time] = {
        "loader, float32": loading.floats,
        "loader": loading.whole,
        "decoding only": loading.decoding,
        "PyAV alone": loading.alone,
    }
    for name, spent in ways.items():
        table.add_row(name, f"{loading.clips / spent.wall:.1f}", f"{loading.clips / spent.cpu:.1f}")
    return table
