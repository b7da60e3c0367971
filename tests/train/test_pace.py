"""The pace of a training, and the part of a full training that a time is enough for."""

import pytest

from wholeframe.recipes.compared import Compared
from wholeframe.train.arms import Arm, Training
from wholeframe.train.pace import Clock, Pace, measured, part_for_seconds, seconds_for_part

COSTS = [(Pace(1.0, 0.1), 300), (Pace(2.0, 0.2), 300)]


def test_parts_and_seconds():
    assert seconds_for_part(0.5, COSTS) == pytest.approx(3 + 45)
    assert part_for_seconds(3 + 45, COSTS) == pytest.approx(0.5)
    assert part_for_seconds(1e6, COSTS) == 1 and part_for_seconds(2, COSTS) < 0


@pytest.mark.slow
def test_measured(monkeypatch):
    clocks = []
    real = Clock.__init__
    monkeypatch.setattr(Clock, "__init__", lambda self: (real(self), clocks.append(self))[0])
    compared = Compared(steps=3)
    training = Training(Arm("gist", "none", compared.host("gist")), 0)
    pace = measured(training.arm, compared.recipe(training), compared.splits(training))
    assert pace.fixed > 0 and pace.step > 0
    (clock,) = clocks
    assert len(clock.times) == 4, "the start and the end of every step"
