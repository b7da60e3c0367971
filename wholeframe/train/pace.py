"""The speed of a training on this machine, by which a budget of time becomes a number of steps."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightning.pytorch.callbacks import Callback

from wholeframe.train.arms import Arm
from wholeframe.train.compare import train_one
from wholeframe.train.loaders import Splits
from wholeframe.train.recipe import Recipe


@dataclass(frozen=True)
class Pace:
    """The time of a training: `fixed + step * steps` seconds.

    Args:
        fixed: seconds for the network, its evaluation and measurements.
        step: seconds per training step.
    """

    fixed: float
    step: float


class Clock(Callback):
    """The times at which the first epoch begins and its steps end, in seconds."""

    def __init__(self):
        self.times: list[float] = []

    def on_train_epoch_start(self, *_args: Any, **_kwargs: Any) -> None:
        self.times.append(time.perf_counter())

    def on_train_batch_end(self, *_args: Any, **_kwargs: Any) -> None:
        self.times.append(time.perf_counter())


def measured(arm: Arm, recipe: Recipe, splits: Splits) -> Pace:
    """The pace of a short training: the median time of its steps, and the time of all else.

    Args:
        arm: what is trained.
        recipe: a short training.
        splits: its data.
    """
    clock = Clock()
    start = time.perf_counter()
    train_one(arm, recipe, splits, [clock])
    whole = time.perf_counter() - start
    steps = [end - begin for begin, end in zip(clock.times, clock.times[1:], strict=False)]
    return Pace(max(0.0, whole - sum(steps)), statistics.median(steps))


def part_for_seconds(seconds: float, trainings: Sequence[tuple[Pace, int]]) -> float:
    """The part of the full training that a time gives to every training of a rung, at most 1; negative for none.

        part = (seconds - the sum of fixed) / (the sum of step * full steps)

    Args:
        seconds: what the rung may spend, added over the processes that train at the same time.
        trainings: the pace and the full steps of every training.
    """
    fixed = sum(pace.fixed for pace, _ in trainings)
    return min(1.0, (seconds - fixed) / sum(pace.step * steps for pace, steps in trainings))


def seconds_for_part(part: float, trainings: Sequence[tuple[Pace, int]]) -> float:
    """The inverse of `part_for_seconds`: the time of a rung with this part of the full trainings."""
    return sum(pace.fixed + pace.step * steps * part for pace, steps in trainings)
