"""The rungs of a search: what each trained, and how the candidates rank."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from wholeframe.train.compare import Result, refuse_unpaired
from wholeframe.train.paired import Paired


@dataclass(frozen=True)
class Rung:
    """The finished trainings of one rung.

    Args:
        part: the length of a training, as a part of the full training.
        results: of every candidate that is left, on every task, under every seed of the rung.
    """

    part: float
    results: tuple[Result, ...]

    def accuracies(self) -> dict[str, dict[int, dict[str, float]]]:
        """candidate -> seed -> task -> accuracy, in the order of the candidates."""
        found: dict[str, dict[int, dict[str, float]]] = {}
        for result in self.results:
            found.setdefault(result.block, {}).setdefault(result.seed, {})[result.task] = result.accuracy
        return found

    def scores(self) -> dict[str, float]:
        """The mean accuracy of every candidate over tasks and seeds, by which it goes on."""
        return {name: statistics.mean(_by_seed(seeds)) for name, seeds in self.accuracies().items()}

    def refuse_unpaired(self) -> None:
        """ValueError if two candidates did not train on the same batches under one seed."""
        first: dict[tuple[str, int], Result] = {}
        for result in self.results:
            refuse_unpaired(result, first.setdefault((result.task, result.seed), result), "search")


def _by_seed(seeds: dict[int, dict[str, float]]) -> tuple[float, ...]:
    return tuple(statistics.mean(tasks.values()) for tasks in seeds.values())


@dataclass(frozen=True)
class Standing:
    """A candidate in the last rung that it reached.

    Args:
        candidate: its name.
        rung: counted from 1.
        part: the length of a training of this rung, as a part of the full training.
        scores: under every seed, the mean accuracy over the tasks.
        accuracies: task -> mean accuracy over the seeds.
    """

    candidate: str
    rung: int
    part: float
    scores: tuple[float, ...]
    accuracies: dict[str, float]

    @property
    def score(self) -> float:
        return statistics.mean(self.scores)


def standings(rungs: Sequence[Rung]) -> list[Standing]:
    """All candidates, the best first: by the rung that they reached, then by their score in it."""
    last: dict[str, Standing] = {}
    for number, rung in enumerate(rungs, start=1):
        for name, seeds in rung.accuracies().items():
            tasks = next(iter(seeds.values()))
            mean = {task: statistics.mean(each[task] for each in seeds.values()) for task in tasks}
            last[name] = Standing(name, number, rung.part, _by_seed(seeds), mean)
    return sorted(last.values(), key=lambda each: (-each.rung, -each.score))


def lead(winner: Standing, other: Standing) -> Paired:
    """The paired differences in score of two candidates of the same rung, one per seed."""
    return Paired(tuple(a - b for a, b in zip(winner.scores, other.scores, strict=True)))


def part_for_steps(steps: float, trainings: Sequence[int]) -> float:
    """The part of the full training that a number of steps gives to every training of a rung, at most 1.

        part = steps / (the sum of the full steps of all trainings)

    Args:
        steps: what the rung may spend.
        trainings: the full steps of every training.
    """
    return min(1.0, steps / sum(trainings))
