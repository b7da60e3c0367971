"""The rungs of `wholeframe search`: which trainings each has, how long they are, and what they cost."""

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from wholeframe.commands.compare import train_all
from wholeframe.messages import counted, shown
from wholeframe.recipes.compared import Compared
from wholeframe.train.arms import Arm, Key, Training
from wholeframe.train.budget import Budget
from wholeframe.train.compare import Result
from wholeframe.train.finished import read_finished, write_finished
from wholeframe.train.halving import Halving, rung_sizes
from wholeframe.train.jobs import in_processes
from wholeframe.train.pace import Pace, measured, part_for_seconds, seconds_for_part
from wholeframe.train.rungs import Rung, part_for_steps
from wholeframe.train.spent import Spent

PROBE = 8
"""Training steps, or one pass over the images of a folder, that measure the pace of a candidate."""


@dataclass
class Search:
    """The rungs of a search, trained one after the other.

    Args:
        compared: the data, and the full training.
        candidates: name -> one arm for every task, in the same order of tasks.
        budget: what all rungs may spend; each has an equal share of what the rungs before it leave.
        seeds: of the last rung; the rungs before it have the first of them.
        jobs: trainings at the same time.
        spent: of earlier calls of the same command, with the folder.
    """

    compared: Compared
    candidates: Mapping[str, Sequence[Arm]]
    budget: Budget
    seeds: range
    jobs: int
    spent: Spent
    steps: int = field(default=0, init=False)
    """training steps of all finished rungs"""

    def all_steps(self) -> int:
        """The training steps of the whole grid: every candidate on every task under every seed."""
        return self._full_steps(self._trainings(list(self.candidates), self.seeds))

    def begin(self) -> None:
        """Decide the length of the first rung, unless an earlier call did.

        Raises:
            ValueError: the budget gives its trainings less than one step.
        """
        timed = self.budget.unit == "seconds"
        trainings = self._trainings(list(self.candidates), self._seeds_of(1))
        probe = dataclasses.replace(self.compared, steps=PROBE, epochs=1)
        self.steps = sum(map(probe.train_steps, trainings)) if timed else 0
        if self.spent.parts:
            return
        if timed:
            self._measure(probe, trainings)
        part, least = self._part(1, trainings), self._least(trainings)
        if part < least:
            noun = "step" if self.compared.folder is None else "pass over the images"
            raise ValueError(
                f"the budget gives each of the {len(trainings)} trainings of the first rung less than one {noun}; give "
                f"--budget {self._budget_for(least, trainings)} at the least, or fewer candidates"
            )
        self.spent.parts.append(part)

    def rungs(self, halving: Halving) -> Iterator[Rung]:
        """Every rung when it is finished; `begin` has decided the first."""
        names, known = list(self.candidates), {}
        for number in range(1, self._count() + 1):
            trainings = self._trainings(names, self._seeds_of(number))
            if number > len(self.spent.parts):
                part = self._part(number, trainings)
                if part < self._least(trainings):
                    print(f"the budget is used up, so that rung {number} of {self._count()} is left out")
                    return
                self.spent.parts.append(part)
                self.spent.write()
            part = self.spent.parts[number - 1]
            print(
                f"rung {number} of {self._count()}: {counted(len(names), 'candidate')}, {part:.1%} of a full training"
            )
            rung = Rung(part, self._trained(number, part, trainings, known))
            rung.refuse_unpaired()
            yield rung
            names = halving.kept(rung.scores())

    def _count(self) -> int:
        return len(rung_sizes(len(self.candidates)))

    def _seeds_of(self, number: int) -> range:
        return self.seeds if number == self._count() else self.seeds[:1]

    def _trainings(self, names: Sequence[str], seeds: Sequence[int]) -> list[Training]:
        """Task by task and seed by seed, because all candidates have the samples of a task and seed in common."""
        tasks = zip(*(self.candidates[name] for name in names), strict=True)
        return [Training(arm, seed) for arms in tasks for seed in seeds for arm in arms]

    def _full_steps(self, trainings: Sequence[Training]) -> int:
        return sum(map(self.compared.train_steps, trainings))

    def _trained(
        self, number: int, part: float, trainings: list[Training], known: dict[tuple[Key, int], Result]
    ) -> tuple[Result, ...]:
        """The results of a rung. A training that an earlier rung had with as many steps is not repeated."""
        shorter = dataclasses.replace(self.compared, part=part)
        steps = {training.key: shorter.train_steps(training) for training in trainings}
        folder = self.spent.folder / f"rung-{number}"
        folder.mkdir(exist_ok=True)
        finished = read_finished(folder, list(steps))
        if finished:
            print(f"{len(finished)} of {counted(len(trainings), 'training')} are in {shown(folder)} already")
        finished |= {key: known[key, steps[key]] for key in steps if (key, steps[key]) in known}
        self.steps += sum(steps[key] for key in steps if (key, steps[key]) not in known)
        begin = time.perf_counter() - self.spent.seconds
        for results in train_all(shorter, trainings, finished, self.jobs, folder):
            write_finished(results, folder)
            self.spent.seconds = time.perf_counter() - begin
            self.spent.write()
        known |= {(key, steps[key]): finished[key] for key in steps}
        return tuple(finished[key] for key in steps)

    def _part(self, number: int, trainings: Sequence[Training]) -> float:
        """The length of a rung: an equal share of the rest of the budget for every rung that is left."""
        left = self._count() - number + 1
        if self.budget.unit == "seconds":
            return part_for_seconds(
                (self.budget.amount - self.spent.seconds) * self.jobs / left, self._costs(trainings)
            )
        return part_for_steps(
            (self.budget.steps(self.all_steps()) - self.steps) / left, list(map(self.compared.train_steps, trainings))
        )

    def _least(self, trainings: Sequence[Training]) -> float:
        """The shortest rung: one step, or one pass over the images."""
        return 1 / min(self.compared.whole(training.arm.task) for training in trainings)

    def _costs(self, trainings: Sequence[Training]) -> list[tuple[Pace, int]]:
        return [(self.spent.paces[_label(each.arm)], self.compared.train_steps(each)) for each in trainings]

    def _budget_for(self, part: float, trainings: Sequence[Training]) -> str:
        """The budget that gives the first rung this length."""
        if self.budget.unit == "seconds":
            rung = seconds_for_part(part, self._costs(trainings)) / self.jobs
            return f"{math.ceil(self.spent.seconds + self._count() * rung)}s"
        return f"{math.ceil(self._count() * part * self._full_steps(trainings))}steps"

    def _measure(self, probe: Compared, trainings: Sequence[Training]) -> None:
        print(f"measuring the pace of {counted(len(trainings), 'training')}")
        start = time.perf_counter()
        for training, pace in in_processes(partial(paced, probe), trainings, self.jobs):
            self.spent.paces[_label(training.arm)] = pace
        self.spent.seconds = time.perf_counter() - start


def paced(compared: Compared, training: Training) -> Pace:
    """The pace of an arm, from a training under its seed."""
    return measured(training.arm, compared.recipe(training), compared.splits(training))


def _label(arm: Arm) -> str:
    return f"{arm.task}: {arm.name}"
