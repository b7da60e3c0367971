"""Budgets: a time, a number of steps, or a share."""

import math

import pytest

from wholeframe.train.budget import Budget, budget_of


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("2h", Budget(7200, "seconds")),
        ("1h30m", Budget(5400, "seconds")),
        ("0.5h", Budget(1800, "seconds")),
        ("90s", Budget(90, "seconds")),
        ("5000steps", Budget(5000, "steps")),
        ("25%", Budget(0.25, "share")),
        ("12.5%", Budget(0.125, "share")),
        ("100%", Budget(1, "share")),
    ],
)
def test_forms(text, budget):
    assert budget_of(text) == budget


@pytest.mark.parametrize(
    "text", ["", "2", "h", "2 h", "-2h", "2d", "1.2.3h", "5000", "1.5steps", "nan%", "1e9s", "2h%"]
)
def test_other_forms_are_refused(text):
    with pytest.raises(ValueError, match="has no unit that is known here; give a budget such as 2h"):
        budget_of(text)


@pytest.mark.parametrize("text", ["0h", "0steps", "0%", "0h0m"])
def test_nothing_is_refused(text):
    with pytest.raises(ValueError, match=f"a budget of {text} trains nothing"):
        budget_of(text)


def test_more_than_all_is_refused():
    with pytest.raises(ValueError, match="more than all trainings cost; give 100% or less"):
        budget_of("101%")


def test_in_steps():
    assert budget_of("25%").steps(1200) == 300 and budget_of("70steps").steps(1200) == 70
    assert budget_of("2h").steps(1200) == math.inf
