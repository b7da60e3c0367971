"""Student's t, and the interval of paired differences."""

import random
import statistics

import pytest

from wholeframe.train.paired import Paired, student_t, within

# Two-sided quantiles from tables of Student's distribution, as printed in textbooks.
PRINTED = [
    (0.95, 1, 12.706),
    (0.95, 2, 4.303),
    (0.95, 3, 3.182),
    (0.95, 4, 2.776),
    (0.95, 9, 2.262),
    (0.95, 10, 2.228),
    (0.95, 30, 2.042),
    (0.95, 1000, 1.962),
    (0.99, 2, 9.925),
    (0.99, 5, 4.032),
    (0.9, 7, 1.895),
    (0.5, 1, 1.0),
]


@pytest.mark.parametrize(("level", "freedom", "t"), PRINTED)
def test_quantiles_are_those_of_the_tables(level, freedom, t):
    assert student_t(level, freedom) == pytest.approx(t, abs=6e-4)
    assert within(student_t(level, freedom), freedom) == pytest.approx(level, abs=1e-12)


def test_the_probability_is_the_integral_of_the_density():
    """The density is (1 + t^2 / v)^(-(v + 1) / 2), up to a factor; here by the trapezoidal rule."""
    for freedom in (1, 2, 3, 6):
        step = 1e-3
        density = [(1 + (k * step) ** 2 / freedom) ** (-(freedom + 1) / 2) for k in range(2001)]
        parts = [
            sum(density[: n + 1]) - (density[0] + density[n]) / 2 for n in (1000, 2000)
        ]  # from 0 to 1, and from 0 to 2
        assert parts[0] / parts[1] == pytest.approx(within(1, freedom) / within(2, freedom), abs=1e-6)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    draw = random.Random(0)
    hits = 0
    for _ in range(2000):
        low, high = Paired(tuple(draw.gauss(0.3, 1) for _ in range(3))).interval()
        hits += low <= 0.3 <= high
    assert hits / 2000 == pytest.approx(0.95, abs=0.02)


def test_one_pair_has_no_interval():
    one = Paired((0.25,))
    assert one.interval() is None and one.half_width() is None and str(one) == "+0.250"


def test_three_pairs():
    three = Paired((0.1, 0.2, 0.3))
    half = 4.302653 * statistics.stdev((0.1, 0.2, 0.3)) / 3**0.5
    assert three.mean == pytest.approx(0.2) and three.half_width() == pytest.approx(half, abs=1e-6)
    assert str(three) == "+0.200 [-0.048, +0.448]" and str(Paired((-0.1, -0.1))) == "-0.100 [-0.100, -0.100]"
