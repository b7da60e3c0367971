"""The files and the printed table of `wholeframe search`."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich.table import Table

from wholeframe.commands.plain import console
from wholeframe.messages import counted, shown
from wholeframe.train.paired import LEVEL
from wholeframe.train.rungs import Rung, Standing, lead, standings
from wholeframe.train.summaries import as_code, in_markdown, table, with_spread, write

CSV, MARKDOWN = "search.csv", "search.md"
WIDTH = 132


@dataclass(frozen=True)
class Cost:
    """What a search has spent.

    Args:
        steps: training steps.
        of_all: training steps of all candidates under all seeds.
        seconds: of all calls of the command.
        budget: as it was given.
    """

    steps: int
    of_all: int
    seconds: float
    budget: str

    def __str__(self) -> str:
        share = self.steps / self.of_all
        return (
            f"spent {self.steps:,} training steps, {share:.1%} of the {self.of_all:,} of all full trainings, and "
            f"{self.seconds:.0f} s; the budget is {self.budget}"
        )


@dataclass(frozen=True)
class Report:
    """What a search leaves in its folder, rewritten after every rung.

    Args:
        out: the folder.
        command: that makes the search.
    """

    out: Path
    command: str

    def files(self) -> list[Path]:
        return [self.out / CSV, self.out / MARKDOWN]

    def write(self, rungs: Sequence[Rung], cost: Cost) -> None:
        """Write the table of all trainings, and the table of all candidates with the verdict."""
        write(_csv(rungs), self.out / CSV)
        ranks = standings(rungs)
        lines = [
            f"{in_markdown(verdict(ranks))}.",
            "",
            f"Made by {as_code(self.command)}: {cost}. Score is the mean accuracy over the tasks, and over the "
            "seeds of the rung. Training is the part of a full training; each has the whole schedule. The winner is "
            "chosen by these figures, so that its own are slightly too high.",
            "",
            *table([in_markdown(name) for name in _columns(ranks)], [_cells(each) for each in ranks], names=1),
        ]
        write("\n".join(lines) + "\n", self.out / MARKDOWN)


def verdict(ranks: Sequence[Standing]) -> str:
    """The winner, by how much and how sure, as one sentence."""
    winner, second, *_ = ranks
    if second.rung != winner.rung:
        return f"the winner is {winner.candidate} with {winner.score:.3f}, alone in the last rung"
    apart = lead(winner, second)
    ends = apart.interval()
    told = f"the winner is {winner.candidate} with {winner.score:.3f}, {apart} more than {second.candidate}"
    if ends is None:
        return f"{told}; one seed has no interval, so that nothing says how sure this is: --seeds 3 does"
    seeds = counted(len(winner.scores), "seed")
    if ends[0] > 0:
        return f"{told} ({LEVEL:.0%} interval of {seeds})"
    return f"{told} ({LEVEL:.0%} interval of {seeds}), which contains 0, so that the search does not separate the two"


def _columns(ranks: Sequence[Standing]) -> tuple[str, ...]:
    return ("candidate", "rung", "training", "seeds", "score", *ranks[0].accuracies)


def _cells(each: Standing) -> tuple[str, ...]:
    means = (f"{accuracy:.3f}" for accuracy in each.accuracies.values())
    return each.candidate, str(each.rung), f"{each.part:.1%}", str(len(each.scores)), with_spread(each.scores), *means


def _csv(rungs: Sequence[Rung]) -> str:
    """A row per training."""
    stream = StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(("rung", "part", "task", "candidate", "seed", "params", "macs", "accuracy", "train_s"))
    for number, rung in enumerate(rungs, start=1):
        for each in rung.results:
            figures = (each.seed, each.params, each.macs, each.accuracy, each.train_s)
            writer.writerow((number, rung.part, each.task, each.block, *figures))
    return stream.getvalue()


def print_report(rungs: Sequence[Rung], cost: Cost) -> None:
    """Print the table of all candidates, what it cost, and the winner."""
    ranks = standings(rungs)
    grid = Table()
    for index, name in enumerate(_columns(ranks)):
        grid.add_column(shown(name, 40), justify="right" if index else "left", no_wrap=True)
    for before, each in zip([None, *ranks], ranks, strict=False):
        if before is not None and before.rung != each.rung:
            grid.add_section()
        grid.add_row(*(shown(cell, 40) for cell in _cells(each)))
    printer = console(WIDTH)
    printer.print(grid)
    print(cost)
    print(shown(verdict(ranks), 400))
