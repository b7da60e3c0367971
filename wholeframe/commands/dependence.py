"""`wholeframe dependence MODEL --data DIR`: whether what the blocks do depends on the query."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.table import Table

from wholeframe.commands.plain import console
from wholeframe.commands.sampled import sampled
from wholeframe.commands.writable import writable
from wholeframe.explain.dependence_figures import draw_dependence, draw_over_steps
from wholeframe.explain.survey import SHARES, STATISTICS, Statistics, survey
from wholeframe.messages import listed, shown
from wholeframe.train.checkpoints import read_checkpoint
from wholeframe.train.limits import at_least
from wholeframe.train.opened import open_model

TABLE, FIGURE, OVER_STEPS = "dependence.csv", "dependence.png", "over-steps.png"

LEGEND = (
    "input, output, attention: mean cosine distance (1 - cos) / 2 of two positions of an image; JSD: mean "
    "Jensen-Shannon divergence of their weights, 0 to 0.69; keys used: exp(entropy) of the weights as a share of the "
    "keys; between: share of the variance of the query, the attention and the output that lies between images"
)
LICENSE = (
    "No figure here shows that one query would do: `wholeframe collapse`, or wf.collapse, replaces a block and "
    "measures what that changes."
)


@dataclass(frozen=True)
class Options:
    """Measure how much the output and the attention of every block depend on the query, over images or clips."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """a run folder of `wholeframe train`, a file of `wf.save`, or a network of `wholeframe models`, torchvision/NAME or
    timm/NAME"""
    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """a folder of images, or of videos for a network that takes clips"""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="DIR")] = None
    """the folder for the table (dependence.csv) and the figure (dependence.png)"""
    images: int = 32
    """the largest number of images or videos; they are chosen at random"""
    seed: int = 0
    """of the choice of images, and of the queries that are taken of large grids"""
    site: str | None = None
    """the site of one block; by default every block"""
    weights: str | None = None
    """of a run: last (default) or best; of a name: a file, or DEFAULT for those of its library"""
    checkpoints: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """measure every checkpoint that a run keeps, and draw the figures over the training steps"""

    def __post_init__(self):
        at_least("images", self.images, 1, 32)


def main(arguments: list[str]) -> None:
    options = tyro.cli(Options, args=arguments, prog="wholeframe dependence")
    if options.out is not None:
        for name in (TABLE, FIGURE):
            writable(options.out / name)
    opened = open_model(options.model, options.weights)
    if opened.untrained is not None:
        print(opened.untrained)
    kept = _kept(options)
    inputs = sampled(opened, options.data, options.images, options.seed)
    found: dict[int | None, list[Statistics]] = {}
    notes: list[str] = []
    for step, state in kept.items():
        if state is not None:
            opened.network.load_state_dict(state)
        found[step], notes = survey(opened.network, inputs, site=options.site, seed=options.seed)
    printer = console(132)
    for step, rows in found.items():
        printer.print(table(rows, None if step is None or len(found) == 1 else f"step {step:,}"))
    last = list(found.values())[-1]
    for line in [LEGEND, *inputs.notes(), *notes, *(note for row in last for note in row.notes()), LICENSE]:
        print(line)
    if options.out is not None:
        _save(found, options.out, f"{options.model}, {last[0].images} samples of {options.data.name}")


def _kept(options: Options) -> Mapping[int | None, Mapping[str, torch.Tensor] | None]:
    """The weights to measure by training step; None are those of the network as it is."""
    folder = Path(options.model)
    files = sorted(folder.glob("*.ckpt")) if folder.is_dir() else []
    if options.checkpoints and options.weights is not None:
        raise ValueError(f"--checkpoints measures all weights of a run; leave --weights {shown(options.weights)} out")
    if options.checkpoints and not files:
        raise ValueError(
            f"--checkpoints applies to a run folder with checkpoints, and '{shown(options.model)}' has none; leave it "
            "out"
        )
    if len(files) < 2 and not options.checkpoints:
        return {None: None}
    contents = {file: read_checkpoint(file) for file in files}
    steps = {file: content["global_step"] for file, content in contents.items()}
    there = listed([f"{file.name} (step {step:,})" for file, step in steps.items()], most=20)
    more = "" if options.checkpoints or len(set(steps.values())) < 2 else "; --checkpoints measures each of them"
    print(f"the run keeps {there}{more}")
    if not options.checkpoints:
        return {None: None}
    weights = {
        steps[file]: {key.removeprefix("network."): value for key, value in content["state_dict"].items()}
        for file, content in contents.items()
    }
    return dict(sorted(weights.items()))


def table(found: Sequence[Statistics], title: str | None = None) -> Table:
    """A row per block."""
    rows = Table(title=title)
    columns = ("input", "output", "attention", "JSD", "keys used", "query", "attention", "output")
    for name in ("site", "block", *(f"between: {name}" if at >= 5 else name for at, name in enumerate(columns))):
        left = name in ("site", "block")
        rows.add_column(name, justify="left" if left else "right", overflow="fold" if left else "ellipsis")
    for row in found:
        numbers = [_number(row.mean(name)) for name in STATISTICS[:-1]]
        shares = [_share(row.mean("keys_used")), *(_share(row.shares[name]) for name in SHARES)]
        rows.add_row(shown(row.site), row.block, *numbers, *shares)
    return rows


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value >= 5e-4 else f"{value:.1e}" if value > 1e-7 else "0"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}" if value >= 0.1 else f"{value:.1%}"


def _save(found: Mapping[int | None, Sequence[Statistics]], out: Path, title: str) -> None:
    """Write the table and the figure; with several steps, also the figure over the steps."""
    with (out / TABLE).open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        writer = csv.writer(stream)
        each = [f"{name}{part}" for name in STATISTICS for part in ("", "_p10", "_p90")]
        writer.writerow(["step", "site", "block", "samples", "positions", "keys", "queries", *each, *SHARES])
        for step, rows in found.items():
            for row in rows:
                sizes = (row.images, row.positions, row.keys, row.queries)
                numbers = [value for name in STATISTICS for value in _spread(row, name)]
                cells = [step, row.site, row.block, *sizes, *numbers, *(row.shares[name] for name in SHARES)]
                writer.writerow(["" if cell is None else cell for cell in cells])
    names = [TABLE, FIGURE]
    draw_dependence(list(found.values())[-1], out / FIGURE, title)
    if len(found) > 1:
        draw_over_steps({step: rows for step, rows in found.items() if step is not None}, out / OVER_STEPS, title)
        names.append(OVER_STEPS)
    print(f"{', '.join(names)} are in '{shown(out)}'")


def _spread(row: Statistics, name: str) -> tuple[float | None, float | None, float | None]:
    """The mean over the images, and their 10th and 90th percentile."""
    mean = row.mean(name)
    if mean is None:
        return None, None, None
    low, high = row.values[name].nanquantile(torch.tensor([0.1, 0.9], dtype=torch.float64)).tolist()
    return mean, low, high
