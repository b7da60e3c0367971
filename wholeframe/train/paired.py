"""Paired differences over seeds, and the interval of their mean."""

import math
import statistics
from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True)
class Paired:
    """The differences of paired values: one per seed."""

    differences: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.mean(self.differences)

    def half_width(self, level: float = LEVEL) -> float | None:
        """Half the length of the confidence interval of the mean, by Student's t; None for a single pair.

            mean +- t s / sqrt(n),    P(|T_(n-1)| < t) = level

        Source: Student, "The probable error of a mean", Biometrika 1908. The interval assumes normal differences.

        Args:
            level: the confidence, between 0 and 1.
        """
        n = len(self.differences)
        if n < 2:
            return None
        return student_t(level, n - 1) * statistics.stdev(self.differences) / math.sqrt(n)

    def interval(self, level: float = LEVEL) -> tuple[float, float] | None:
        """The lower and the upper end of the confidence interval; None for a single pair."""
        half = self.half_width(level)
        return None if half is None else (self.mean - half, self.mean + half)

    def __str__(self) -> str:
        """Such as `+0.031 [-0.002, +0.064]`; without an interval for a single pair."""
        ends = self.interval()
        return f"{self.mean:+.3f}" + ("" if ends is None else f" [{ends[0]:+.3f}, {ends[1]:+.3f}]")


def student_t(level: float, freedom: int) -> float:
    """The t for which P(|T| < t) = level, where T has Student's distribution with this many degrees of freedom."""
    low, high = 0.0, 1.0
    while within(high, freedom) < level:
        high *= 2
    for _ in range(100):  # Each step halves the interval, so that 100 end at neighbouring floats.
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle, freedom) < level else (low, middle)
    return high


def within(t: float, freedom: int) -> float:
    """P(|T| < t) for Student's T with an integer number of degrees of freedom.

        freedom odd:   2/pi (a + sin a (cos a + 2/3 cos^3 a + 2*4/(3*5) cos^5 a + ...))
        freedom even:  sin a (1 + 1/2 cos^2 a + 1*3/(2*4) cos^4 a + ...),        tan a = t / sqrt(freedom)

    Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    term, total = math.cos(angle) ** odd, 0.0
    for power in range(odd, freedom - 1, 2):  # The powers of the cosine reach freedom - 2.
        total += term
        term *= (power + 1) / (power + 2) * math.cos(angle) ** 2
    series = math.sin(angle) * total
    return (angle + series) * 2 / math.pi if odd else series
