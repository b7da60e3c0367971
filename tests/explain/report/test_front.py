"""The Pareto front against its definition."""

import itertools
import random

import pytest

from wholeframe.explain.report.front import pareto_front


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([], []),
        ([(1, 0.5)], [0]),
        ([(1, 0.5), (2, 0.4)], [0]),
        ([(2, 0.9), (1, 0.5)], [1, 0]),
        ([(1, 0.5), (1, 0.6)], [1]),
        ([(1, 0.5), (2, 0.5)], [0]),
        ([(1, 0.5), (1, 0.5), (2, 0.4)], [0, 1]),
    ],
)
def test_by_hand(points, front):
    assert pareto_front(points) == front


def test_no_point_of_the_front_is_dominated_and_every_other_is():
    draw = random.Random(0)
    for _ in range(50):
        points = [(draw.randrange(5), draw.randrange(5)) for _ in range(8)]
        front = pareto_front(points)

        def dominates(other, one):
            return other != one and other[0] <= one[0] and other[1] >= one[1]

        for index, point in enumerate(points):
            assert (index in front) == (not any(dominates(other, point) for other in points))
        costs = [points[index] for index in front]
        assert all(one[0] <= two[0] and one[1] <= two[1] for one, two in itertools.pairwise(costs))
