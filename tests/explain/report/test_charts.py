"""Where a chart draws its points, and what it says in words."""

import re

import pytest

from wholeframe.explain.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, against, curves, of_cost
from wholeframe.explain.report.content import Arm


def arm(number, score, cost, **more):
    return Arm(number, f"arm{number}", "task", score, {"parameters": cost}, **more)


def inside(x, y):
    return LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM


def test_points_are_where_their_values_are():
    chart = against("parameters", "accuracy", [arm(1, 0.5, 1000), arm(2, 0.7, 3000), arm(3, 0.6, 2000)])
    marks = {mark.number: mark for mark in chart.marks}
    assert all(inside(mark.x, mark.y) for mark in chart.marks)
    assert marks[3].x == pytest.approx((marks[1].x + marks[2].x) / 2, abs=0.1), "the axis is linear"
    assert marks[3].y == pytest.approx((marks[1].y + marks[2].y) / 2, abs=0.1)
    assert marks[2].y < marks[3].y < marks[1].y, "a high score is at the top"
    for ticks in (chart.x_ticks, chart.y_ticks):
        assert len(ticks) >= 2 and len({tick.label for tick in ticks}) == len(ticks)


def test_the_front_is_named_and_drawn_last():
    chart = against("parameters", "accuracy", [arm(1, 0.5, 1000), arm(2, 0.4, 2000), arm(3, 0.9, 30000)])
    assert [mark.front for mark in chart.marks] == [False, True, True]
    assert chart.alt == (
        "Pareto front of accuracy against parameters, from the lowest cost: arm1 (1 k, 0.500), arm3 (30 k, 0.900)."
    )
    first, last = (mark for mark in chart.marks if mark.front)
    assert chart.front == f"M{first.x:g} {first.y:g}H{last.x:g}V{last.y:g}"


@pytest.mark.parametrize("points", [[(1000, 0.5)], [(0, 0.0), (0, 0.0)], [(7, 1.0), (7, 1.0), (9, 1.0)]])
def test_equal_values_have_an_axis_too(points):
    chart = against("parameters", "accuracy", [arm(n, score, cost) for n, (cost, score) in enumerate(points, 1)])
    assert all(inside(mark.x, mark.y) for mark in chart.marks) and chart.x_ticks and chart.y_ticks


def test_differences_of_nothing_look_like_nothing():
    """Scores that differ by 1e-5 are in the same height, and no label is longer than the margin."""
    chart = against("parameters", "accuracy", [arm(1, 0.50536, 1000), arm(2, 0.50537, 3000)])
    assert abs(chart.marks[0].y - chart.marks[1].y) < 1 and all(len(tick.label) <= 6 for tick in chart.y_ticks)


def test_steps_and_epochs_are_whole():
    chart = curves("loss", "step", "loss", [(arm(1, 0, 1), [(0.5, 0.9), (3.5, 0.3)])])
    assert [tick.label for tick in chart.x_ticks] == ["1", "2", "3"]


def test_lines_say_where_they_start_and_end():
    lines = [(arm(1, 0, 1), [(0.5, 0.9), (1.5, 0.3)]), (arm(9, 0, 1), [(0.5, 0.8), (1.5, 0.4)])]
    chart = curves("training loss", "training step", "loss", lines)
    assert chart.alt == "training loss: arm1 from 0.9 to 0.3; arm9 from 0.8 to 0.4."
    first, second = chart.marks
    numbers = [float(number) for number in re.findall(r"[\d.]+", first.path)]
    assert len(numbers) == 4 and (numbers[2], numbers[3]) == (first.x, first.y)
    assert first.style == "c0 d0" and second.style == "c1 d1", "the eighth line has the first colour, with a dash"


def test_costs_in_words():
    assert of_cost(16_883_712) == "16.9 M" and of_cost(0.8015) == "0.801" and of_cost(45506) == "45.5 k"
