"""`wholeframe compare`: which block helps, on embedded tasks or on your own images."""

import dataclasses
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from wholeframe.blocks import BLOCKS
from wholeframe.commands.plain import console
from wholeframe.commands.writable import writable
from wholeframe.data.image_folder import open_folder
from wholeframe.data.synthetic import TASKS
from wholeframe.explain.figures import draw_accuracy
from wholeframe.messages import nearest, shown
from wholeframe.recipes import folder, shapes, synthetic
from wholeframe.train.compare import Result, cells, header, picture, summarise, train_one, write_csv, write_markdown
from wholeframe.train.environment import environment
from wholeframe.train.evaluations import name_of
from wholeframe.train.folder_kinds import refuse_other
from wholeframe.train.inputs.images import folder_splits
from wholeframe.train.limits import at_least
from wholeframe.train.loaders import Splits, marker_splits
from wholeframe.train.recipe import Recipe, described
from wholeframe.train.run import write_json
from wholeframe.train.shapes import shapes_splits

RESULTS, MARKDOWN, ACCURACY = "results.csv", "results.md", "accuracy.png"

BLOCKS_BY_DEFAULT = ("none", "nl", "nl_dot", "snl", "gc", "se")
BLOCKS_OF_SHAPES = ("none", "nl", "gc", "se")

# The compared networks have 48 channels, too few for the papers' options (1/16 of 1024 channels, 128 of 2048).
OPTIONS = {
    "gc": {"ratio": 0.25},
    "se": {"ratio": 0.25},
    "gsop_channel": {"inner": 24},
    "gsop_position": {"inner": 24},
}


DETECTED = "shapes"


def options_of(task: str, block: str) -> dict[str, object]:
    """The arguments of a block in the network of a task.

    A detector learns the forms first, and a block that starts as an identity has no part in that; those of the detector
    start at random.
    """
    return {**OPTIONS.get(block, {}), **({"init": "random"} if task == DETECTED else {})}


@dataclass(frozen=True)
class Options:
    """Train the same small network without and with each block, on two embedded tasks or on images; print a table."""

    folder: Annotated[Path | None, tyro.conf.arg(name="data", metavar="DIR")] = None
    """images, one folder per class; by default the embedded tasks"""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/compare")
    """folder for tables, plot, pictures and recipe"""
    blocks: tuple[str, ...] = ()
    """names of `wholeframe blocks`, `none` for the bare network, or `all`; by default none nl nl_dot snl gc se, and for
    shapes alone, whose trainings are longer, none nl gc se"""
    tasks: Annotated[tuple[str, ...], tyro.conf.arg(aliases=("--task",))] = tuple(TASKS)
    """embedded tasks: recall needs a block that depends on the query, gist any context; shapes, the counterpart of
    recall for a detector, has coloured discs that are named by a square or triangle of the same hue far away"""
    seeds: int = 1
    """number of trainings of every block, with seeds 0, 1, ..."""
    steps: int = 300
    """training steps on an embedded task"""
    epochs: int = 12
    """passes over the images of --data"""
    strict: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """raise an error for an image that does not decode, instead of naming it and leaving it out"""

    def __post_init__(self):
        at_least("seeds", self.seeds, 1, 3)
        at_least("steps", self.steps, 1, 300)
        at_least("epochs", self.epochs, 1, 12)


@dataclass(frozen=True)
class Experiment:
    """One task under one seed: the data, and the recipe of the bare network."""

    task: str
    recipe: Recipe
    splits: Splits

    def steps(self) -> int:
        """Training steps of one block."""
        return self.recipe.schedule.epochs * len(self.splits.train_dataloader())

    def with_block(self, block: str) -> Recipe:
        """The recipe with a block; `none` for the bare network."""
        if block == "none":
            return self.recipe
        model = dataclasses.replace(self.recipe.model, block=block, options=options_of(self.task, block))
        return dataclasses.replace(self.recipe, model=model)


class Steps(Callback):
    """Advances a progress bar at every training step."""

    def __init__(self, progress: Progress, bar: TaskID):
        self.progress, self.bar = progress, bar

    def on_train_batch_end(self, *_args: object, **_kwargs: object) -> None:
        self.progress.advance(self.bar)


def main(arguments: list[str]) -> None:
    """Run `wholeframe compare`."""
    options = tyro.cli(Options, args=arguments, prog="wholeframe compare")
    # The networks are so small that a second thread mostly waits for the first.
    torch.set_num_threads(1)
    refuse_other(options.out, "comparison")
    alone = options.folder is None and set(options.tasks) == {DETECTED}
    blocks = _blocks(options.blocks or (BLOCKS_OF_SHAPES if alone else BLOCKS_BY_DEFAULT))
    experiments = list(_experiments(options))
    for name in (RESULTS, MARKDOWN, ACCURACY):
        writable(options.out / name)
    write_json(options.out / "recipe.json", _record(options, blocks, experiments))

    results = _train_all(experiments, blocks, options.out)

    rows = summarise(results)
    write_csv(results, options.out / RESULTS)
    write_markdown(rows, shlex.join(["wholeframe", "compare", *arguments]), options.out / MARKDOWN)
    accuracies: dict[str, dict[str, tuple[float, ...]]] = {}
    for row in rows:
        accuracies.setdefault(row.task, {})[row.block] = row.accuracies
    draw_accuracy(accuracies, options.out / ACCURACY, {DETECTED: "AP50 of shapes that a partner names"})
    print(f"tables, plot, pictures and recipe are in {shown(options.out)}")
    table = Table()
    columns = header(rows)
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if index < 2 else "right", no_wrap=True)
    for before, row in zip([None, *rows], rows, strict=False):
        if before is not None and before.task != row.task:
            table.add_section()
        table.add_row(*(shown(cell, 40) for cell in cells(row, columns)))
    printer = console()
    printer.width = max(printer.width, 100)  # The table is also read in files and logs, which have no width.
    printer.print(table)


def _train_all(experiments: list[Experiment], blocks: list[str], out: Path) -> list[Result]:
    results = []
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=len(blocks) * sum(experiment.steps() for experiment in experiments))
        for experiment in experiments:
            for block in blocks:
                seed = experiment.recipe.seed
                progress.update(bar, description=f"{shown(experiment.task, 40)}, {block}, seed {seed}")
                result, network = train_one(
                    experiment.task, experiment.with_block(block), experiment.splits, callbacks=[Steps(progress, bar)]
                )
                results.append(result)
                if seed == 0 and block != "none":
                    picture(network, experiment.splits, out / f"{name_of('attention', experiment.task, block)}.png")
    return results


def _blocks(names: tuple[str, ...]) -> list[str]:
    if names == ("all",):
        return ["none", *BLOCKS]
    for name in names:
        if name != "none" and name not in BLOCKS:
            raise ValueError(f"there is no block {name!r}; {nearest(name, ['none', 'all', *BLOCKS])}")
    return list(dict.fromkeys(names))


def _experiments(options: Options) -> Iterator[Experiment]:
    if options.folder is not None:
        images = open_folder(options.folder, strict=options.strict)
        print(images.describe())
        for seed in range(options.seeds):
            recipe = folder.small(seed, options.epochs)
            yield Experiment(options.folder.resolve().name, recipe, folder_splits(images, folder.SMALL_DATA, seed))
        return
    known = (*TASKS, DETECTED)
    for task in options.tasks:
        if task not in known:
            raise ValueError(f"there is no embedded task {task!r}; {nearest(task, known)}")
        for seed in range(options.seeds):
            if task == DETECTED:
                data = shapes_splits(shapes.DATA, seed, steps=options.steps)
                yield Experiment(task, shapes.small_detector(seed), data)
                continue
            recipe = synthetic.small_dense(seed)
            yield Experiment(task, recipe, marker_splits(task, synthetic.DATA, seed, steps=options.steps))


def _record(options: Options, blocks: list[str], experiments: list[Experiment]) -> dict[str, object]:
    return {
        "options": {key: str(value) for key, value in dataclasses.asdict(options).items()},
        "blocks": {block: OPTIONS.get(block, {}) for block in blocks},
        **({"blocks_of_shapes": {b: options_of(DETECTED, b) for b in blocks}} if DETECTED in options.tasks else {}),
        "recipes": {experiment.task: described(experiment.recipe) for experiment in experiments},
        "environment": environment(),
    }
