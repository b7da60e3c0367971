"""The ranking of a search, from the results of its rungs."""

import pytest

from wholeframe.train.compare import Result
from wholeframe.train.rungs import Rung, lead, part_for_steps, standings


def result(task, block, seed, accuracy, batches="same"):
    return Result(task, block, seed, 0, 0, accuracy, 1.0, 1.0, batches=batches)


FIRST = Rung(
    0.25,
    tuple(
        result(task, block, 0, accuracy)
        for task, accuracies in (("recall", (0.5, 0.9, 0.75, 0.4)), ("gist", (0.6, 0.7, 0.95, 0.2)))
        for block, accuracy in zip(("none", "nl", "gc", "se"), accuracies, strict=True)
    ),
)
LAST = Rung(
    1.0,
    tuple(
        result(task, block, seed, accuracy)
        for task, seed, accuracies in (
            ("recall", 0, (0.9, 0.7)),
            ("recall", 1, (1.0, 0.6)),
            ("gist", 0, (0.7, 0.8)),
            ("gist", 1, (0.8, 0.8)),
        )
        for block, accuracy in zip(("nl", "gc"), accuracies, strict=True)
    ),
)


def test_a_score_is_the_mean_over_tasks_and_seeds():
    assert FIRST.scores() == pytest.approx({"none": 0.55, "nl": 0.8, "gc": 0.85, "se": 0.3})
    assert LAST.scores() == pytest.approx({"nl": 0.85, "gc": 0.725})


def test_the_rung_ranks_before_the_score():
    ranks = standings([FIRST, LAST])
    assert [(each.candidate, each.rung, each.part) for each in ranks] == [
        ("nl", 2, 1.0),
        ("gc", 2, 1.0),
        ("none", 1, 0.25),
        ("se", 1, 0.25),
    ]
    assert ranks[0].scores == pytest.approx((0.8, 0.9)) and ranks[0].accuracies == pytest.approx(
        {"recall": 0.95, "gist": 0.75}
    )
    assert [each.candidate for each in standings([FIRST])] == ["gc", "nl", "none", "se"]


def test_the_lead_is_paired_by_seed():
    winner, second, *_ = standings([FIRST, LAST])
    assert lead(winner, second).differences == pytest.approx((0.05, 0.2))


def test_other_batches_are_refused():
    FIRST.refuse_unpaired()
    rung = Rung(1.0, (result("gist", "nl", 0, 0.5), result("gist", "gc", 0, 0.5, batches="other")))
    with pytest.raises(ValueError, match=r"'gc' and 'nl' on 'gist' did not train on the same batches under seed 0"):
        rung.refuse_unpaired()


def test_part_for_steps():
    assert part_for_steps(150, [300, 300]) == 0.25 and part_for_steps(1000, [300, 300]) == 1
