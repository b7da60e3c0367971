"""`wholeframe compare`: which block helps, on embedded tasks or on your own images, or a published table."""

import dataclasses
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import tyro
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from wholeframe.blocks import BLOCKS
from wholeframe.commands.compare_report import Report, print_report, print_tables
from wholeframe.commands.writable import writable
from wholeframe.data.synthetic import TASKS
from wholeframe.messages import counted, nearest, shown
from wholeframe.models.build import NAMED, build
from wholeframe.models.toy_detector import ToyDetectorConfig
from wholeframe.recipes.compared import DETECTED, EMBEDDED, OPTIONS, Compared, arm_of, options_of
from wholeframe.recipes.tables import TABLES, Table
from wholeframe.train.arms import Arm, Key, Training, baselines, grid
from wholeframe.train.attention_picture import picture, picture_name
from wholeframe.train.compare import Result, train_one
from wholeframe.train.environment import environment
from wholeframe.train.finished import read_finished, refuse_other_record, write_finished
from wholeframe.train.folder_kinds import refuse_other
from wholeframe.train.jobs import cores, in_processes
from wholeframe.train.limits import at_least
from wholeframe.train.lock import locked
from wholeframe.train.recipe import described
from wholeframe.train.run import write_json

BLOCKS_BY_DEFAULT = ("none", "nl", "nl_dot", "snl", "gc", "se")
BLOCKS_OF_SHAPES = ("none", "nl", "gc", "se")


@dataclass(frozen=True)
class Options:
    """Train the same small network without and with each block, on two embedded tasks or on images; print a table.

    A comparison that is stopped or killed continues when the same command is given again.
    """

    folder: Annotated[Path | None, tyro.conf.arg(name="data", metavar="DIR")] = None
    """images, one folder per class; by default the embedded tasks"""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/compare")
    """folder for report.html, tables, plot, pictures and recipe"""
    blocks: tuple[str, ...] = ()
    """names of `wholeframe blocks`, `none` for the bare network, or `all`; by default none nl nl_dot snl gc se, and for
    shapes alone, whose trainings are longer, none nl gc se"""
    sites: tuple[str, ...] = ()
    """sites of the small network; every block is compared at each of them, and at several together if they are joined
    by a comma: stage2 stage3 stage2,stage3; by default the site after which a position sees no other one"""
    tasks: Annotated[tuple[str, ...], tyro.conf.arg(aliases=("--task",))] = tuple(TASKS)
    """embedded tasks: recall needs a block that depends on the query, gist any context; shapes, the counterpart of
    recall for a detector, has coloured discs that are named by a square or triangle of the same hue far away;
    recall_clips is recall for clips"""
    table: tuple[str, ...] = ()
    """published tables at toy scale, in place of --blocks, --sites and --tasks: nonlocal-2a nonlocal-2b ...; `list`
    prints them"""
    seeds: int = 1
    """number of trainings of every network, with seeds 0, 1, ..."""
    steps: int | None = None
    """training steps on an embedded task; by default 300, and 600 for shapes"""
    epochs: int = 12
    """passes over the images of --data"""
    jobs: int | None = None
    """trainings at the same time, each in a process with one thread; by default as many as there are cores; the results
    do not depend on it"""
    strict: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """raise an error for an image that does not decode, instead of naming it and leaving it out"""

    def __post_init__(self):
        at_least("seeds", self.seeds, 1, 3)
        at_least("epochs", self.epochs, 1, 12)
        if self.steps is not None:
            at_least("steps", self.steps, 1, 300)
        if self.jobs is not None:
            at_least("jobs", self.jobs, 1, cores())


class Steps(Callback):
    """Advances a progress bar at every training step."""

    def __init__(self, progress: Progress, bar: TaskID):
        self.progress, self.bar = progress, bar

    def on_train_batch_end(self, *_args: object, **_kwargs: object) -> None:
        self.progress.advance(self.bar)


def main(arguments: list[str]) -> None:
    """Run `wholeframe compare`."""
    options = tyro.cli(Options, args=arguments, prog="wholeframe compare")
    if options.table == ("list",):
        print_tables(TABLES)
        return
    # The networks are so small that a second thread mostly waits for the first.
    torch.set_num_threads(1)
    refuse_other(options.out, "comparison")
    tables = _tables(options)
    compared = Compared(options.steps, options.folder, options.epochs, options.strict)
    if options.folder is not None:
        print(compared.images().describe())
    arms = [row.arm for table in tables.values() for row in table.rows] or list(arms_of(options, compared))
    trainings = grid(arms, options.seeds)
    refuse_unbuildable(compared, trainings)
    record = record_of(options, compared, trainings)
    command = shlex.join(["wholeframe", "compare", *arguments])
    report = Report(options.out, command, baselines(arms), tables, trainings, environment())
    for file in report.files():
        writable(file)
    with locked(options.out):
        refuse_other_record(options.out, record)
        finished = read_finished(options.out, [training.key for training in trainings])
        write_json(options.out / "recipe.json", record)
        if finished:
            print(f"{len(finished)} of {counted(len(trainings), 'training')} are in {shown(options.out)} already")
            report.write([finished[training.key] for training in trainings if training.key in finished])
        for results in train_all(compared, trainings, finished, options.jobs or cores(), options.out):
            write_finished(results, options.out)
            report.write(results)
    results = [finished[training.key] for training in trainings]
    print(f"report.html, tables, plot, pictures and recipe are in {shown(options.out)}")
    if len(report.baselines) < len({arm.task for arm in arms}):
        print("there are no differences, because the bare network is not compared; give --blocks none ...")
    print_report(report, results)


def train_all(
    compared: Compared, trainings: list[Training], finished: dict[Key, Result], jobs: int, out: Path
) -> Iterator[list[Result]]:
    """All results so far, in the order of the grid, after every training."""
    missing = [training for training in trainings if training.key not in finished]
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        steps = {training.key: compared.train_steps(training) for training in trainings}
        done = sum(steps[key] for key in finished)
        bar = progress.add_task(counted(len(missing), "training"), total=sum(steps.values()), completed=done)
        alone = min(jobs, len(missing)) < 2
        callbacks = (Steps(progress, bar),) if alone else ()
        for training, result in in_processes(partial(trained, compared, out, callbacks), missing, jobs):
            finished[training.key] = result
            task, arm, seed = training.key
            progress.update(bar, advance=0 if alone else steps[training.key])
            progress.update(bar, description=f"{shown(task, 40)}, {shown(arm, 60)}, seed {seed}")
            yield [finished[each.key] for each in trainings if each.key in finished]


def trained(compared: Compared, out: Path, callbacks: Sequence[Callback], training: Training) -> Result:
    """Train an arm under its seed and measure it; the first seed leaves a picture of its attention in the folder."""
    splits = compared.splits(training)
    result, network = train_one(training.arm, compared.recipe(training), splits, callbacks)
    if training.seed == 0 and not training.arm.bare:
        picture(network, splits, out / picture_name(training.arm))
    return result


def arms_of(options: Options, compared: Compared) -> Iterator[Arm]:
    """Every block at every choice of sites, on every task."""
    alone = options.folder is None and set(options.tasks) == {DETECTED}
    blocks = _blocks(options.blocks or (BLOCKS_OF_SHAPES if alone else BLOCKS_BY_DEFAULT))
    tasks = options.tasks if options.folder is None else (options.folder.resolve().name,)
    if not tasks:
        raise ValueError(f"--tasks names no task; there are {', '.join(EMBEDDED)}")
    for task in tasks:
        if options.folder is None and task not in EMBEDDED:
            raise ValueError(f"there is no embedded task {task!r}; {nearest(task, EMBEDDED)}")
        host = compared.host(task)
        sites = [tuple(text.split(",")) for text in options.sites] or [host.at]
        for block in blocks:
            if block == "none":
                yield Arm(task, "none", host)
                continue
            for at in sites:
                name = block if len(sites) == 1 else f"{block} at {', '.join(at)}"
                yield arm_of(host, task, block, at, name)


def _blocks(names: tuple[str, ...]) -> list[str]:
    if names == ("all",):
        return ["none", *BLOCKS]
    for name in names:
        if name != "none" and name not in NAMED:
            raise ValueError(f"there is no block {name!r}; {nearest(name, ['none', 'all', *NAMED])}")
    return list(dict.fromkeys(names))


def _tables(options: Options) -> dict[str, Table]:
    """The published tables of `--table`, by name."""
    if not options.table:
        return {}
    for name, given in (("data", options.folder), ("blocks", options.blocks), ("sites", options.sites)):
        if given:
            raise ValueError(f"--table has the networks of its paper, so --{name} does not apply; leave it out")
    if options.tasks != tuple(TASKS):
        raise ValueError("--table has a task of its own, so --tasks does not apply; leave it out")
    for name in options.table:
        if name not in TABLES:
            raise ValueError(f"there is no table {name!r}; {nearest(name, TABLES)}; --table list prints them")
    return {name: TABLES[name] for name in options.table}


def refuse_unbuildable(compared: Compared, trainings: list[Training]) -> None:
    """ValueError for images that are too few, and for a block or a site that does not fit the network of its task.

    It comes before anything is trained.
    """
    if compared.folder is not None:
        compared.splits(trainings[0])
    for training in trainings:
        if training.seed == 0:
            build(training.arm.model, 2, compared.recipe(training).data.example())


def record_of(options: Options, compared: Compared, trainings: list[Training]) -> dict[str, object]:
    """What `recipe.json` holds: all that decides the results, so that only the same comparison continues."""
    given = {key: str(value) for key, value in dataclasses.asdict(options).items() if key not in ("out", "jobs")}
    arms = [training.arm for training in trainings]
    recipes = {t.arm.task: described(compared.recipe(t)) for t in reversed(trainings)}
    shapes = next((arm.model for arm in arms if isinstance(arm.model, ToyDetectorConfig)), None)
    blocks = sorted({arm.model.block for arm in arms if arm.model.block})
    return {
        "options": given,
        "data": compared.described(),
        "blocks": {block: OPTIONS.get(block, {}) for block in blocks},
        **({"blocks_of_shapes": {b: options_of(shapes, b) for b in blocks}} if shapes else {}),
        "arms": [{"task": arm.task, "name": arm.name, "model": described(arm.model)} for arm in arms],
        "recipes": recipes,
        "environment": environment(),
    }
