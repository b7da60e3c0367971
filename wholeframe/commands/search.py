"""`wholeframe search`: the best block and place by successive halving, at a part of the cost of a comparison."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from wholeframe.commands import compare
from wholeframe.commands.compare import arms_of, record_of, refuse_unbuildable
from wholeframe.commands.search_report import Cost, Report, print_report
from wholeframe.commands.search_rungs import Search
from wholeframe.commands.writable import writable
from wholeframe.data.synthetic import TASKS
from wholeframe.messages import shown
from wholeframe.recipes.compared import Compared
from wholeframe.train.arms import Arm, grid
from wholeframe.train.budget import budget_of
from wholeframe.train.finished import refuse_other_record
from wholeframe.train.folder_kinds import refuse_other
from wholeframe.train.halving import FACTOR, Halving
from wholeframe.train.jobs import cores
from wholeframe.train.limits import at_least
from wholeframe.train.lock import locked
from wholeframe.train.rungs import Rung
from wholeframe.train.spent import Spent
from wholeframe.train.whole_files import write_json


@dataclass(frozen=True)
class Options:
    """Find the best of many blocks and sites: train all of them briefly, the best third longer, and so on.

    The candidates are those that `wholeframe compare` would train with the same --blocks, --sites and --tasks. A search
    that is stopped or killed continues when the same command is given again.
    """

    budget: Annotated[str, tyro.conf.arg(metavar="2h|5000steps|25%")] = "25%"
    """what the search may spend: a time (2h, 1h30m, 90s), training steps (5000steps), or a part of the training steps
    that `wholeframe compare` takes for all candidates"""
    folder: Annotated[Path | None, tyro.conf.arg(name="data", metavar="DIR")] = None
    """images, one folder per class; by default the embedded tasks"""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/search")
    """folder for tables, trainings and recipe"""
    blocks: tuple[str, ...] = ()
    """names of `wholeframe blocks`, `none` for the bare network, or `all`; by default none nl nl_dot snl gc se"""
    sites: tuple[str, ...] = ()
    """sites of the small network; every block is a candidate at each of them, and at several together if they are
    joined by a comma: stage2 stage3 stage2,stage3; by default the site after which a position sees no other one"""
    tasks: Annotated[tuple[str, ...], tyro.conf.arg(aliases=("--task",))] = tuple(TASKS)
    """embedded tasks; the score of a candidate is its mean accuracy over them"""
    seeds: int = 3
    """trainings of every candidate in the last rung, which give the interval of a difference; the other rungs train
    under the first of these seeds"""
    seed: int = 0
    """the first of the seeds"""
    steps: int | None = None
    """training steps of a full training on an embedded task; by default 300, and 600 for shapes"""
    epochs: int = 12
    """passes over the images of --data in a full training"""
    jobs: int | None = None
    """trainings at the same time, each in a process with one thread; by default as many as there are cores"""
    strict: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """raise an error for an image that does not decode, instead of naming it and leaving it out"""

    def __post_init__(self):
        budget_of(self.budget)
        at_least("seeds", self.seeds, 1, 3)
        at_least("seed", self.seed, 0, 0)
        at_least("epochs", self.epochs, 1, 12)
        if self.steps is not None:
            at_least("steps", self.steps, 1, 300)
        if self.jobs is not None:
            at_least("jobs", self.jobs, 1, cores())


def main(arguments: list[str]) -> None:
    """Run `wholeframe search`."""
    options = tyro.cli(Options, args=arguments, prog="wholeframe search")
    torch.set_num_threads(1)  # The networks are so small that a second thread mostly waits for the first.
    refuse_other(options.out, "search")
    compared = Compared(options.steps, options.folder, options.epochs, options.strict)
    if options.folder is not None:
        print(compared.images().describe())
    named = ("folder", "blocks", "sites", "tasks", "seeds", "steps", "epochs", "strict")
    same = compare.Options(**{name: getattr(options, name) for name in named})
    once = grid(arms_of(same, compared), 1)
    candidates: dict[str, list[Arm]] = {}
    for training in once:
        candidates.setdefault(training.arm.name, []).append(training.arm)
    if len(candidates) < 2:
        raise ValueError(f"a search needs two candidates or more, and {next(iter(candidates))!r} is one; add --blocks")
    halving = Halving(list(candidates))
    refuse_unbuildable(compared, once)
    given = {"budget": options.budget, "seed": options.seed, "factor": FACTOR}
    record = {**record_of(same, compared, once), "search": given}
    report = Report(options.out, shlex.join(["wholeframe", "search", *arguments]))
    with locked(options.out):
        refuse_other_record(options.out, record)
        spent = Spent.read(options.out)
        seeds = range(options.seed, options.seed + options.seeds)
        search = Search(compared, candidates, budget_of(options.budget), seeds, options.jobs or cores(), spent)
        search.begin()
        for file in report.files():
            writable(file)
        write_json(options.out / "recipe.json", record)
        spent.write()
        rungs: list[Rung] = []
        for rung in search.rungs(halving):
            rungs.append(rung)
            report.write(rungs, Cost(search.steps, search.all_steps(), spent.seconds, options.budget))
    if min(spent.parts) == 1:
        print(
            "every rung has full trainings, and the budget allows longer ones; give more --steps, --epochs or --seeds"
        )
    print(f"tables, trainings and recipe are in {shown(options.out)}")
    print_report(rungs, Cost(search.steps, search.all_steps(), spent.seconds, options.budget))
