"""Searches and comparisons without trainings, for what they do with results."""

import contextlib

import pytest

from wholeframe.commands import compare
from wholeframe.train.compare import Result

ACCURACIES = {"nl": 0.9, "se": 0.8}


@contextlib.contextmanager
def untrained():
    """Every training takes no time: nl is the best, se the second, by less under seed 1.

    Gives a list that gets (task, arm, seed, steps) of each training.
    """
    seen = []

    def train_one(arm, recipe, splits, callbacks=()):
        seen.append((arm.task, arm.name, recipe.seed, len(splits.train) // recipe.data.batch))
        accuracy = ACCURACIES.get(arm.name, 0.5) - (0.02 if arm.name == "nl" and recipe.seed == 1 else 0)
        return Result(arm.task, arm.name, recipe.seed, 0, 0, accuracy, 0.0, 0.0), None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "train_one", train_one)
        patch.setattr(compare, "picture", lambda *_: None)
        yield seen
