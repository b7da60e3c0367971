"""Figures are written as PNG and are not blank."""

import pytest
from pictures import drawn

from wholeframe.explain.figures import draw_accuracy, drawable


def test_names_from_outside_start_no_formula(tmp_path):
    odd = "x$\\frac$ \udcff 猫 [bold]\n"
    draw_accuracy({odd: {"none": (0.5,)}}, tmp_path / "a.png")
    drawn(tmp_path / "a.png")


def test_letters_that_the_font_lacks_are_written_as_escapes():
    assert drawable("é猫\n") == "é\\u732b\\n" and len(drawable("a" * 300)) == 60


@pytest.mark.parametrize(
    "accuracy",
    [
        {"gist": {"none": (0.5,)}},
        {"gist": {"none": (0.5, 0.6), "nl": (0.9, 1.0)}, "recall": {"none": (0.5, 0.5), "nl": (0.0, 1.0)}},
        {"gist": {f"block {index}": (index / 20,) for index in range(15)}},
    ],
    ids=["one bar", "two tasks, two seeds", "more blocks than colours"],
)
def test_accuracy_is_drawn(tmp_path, accuracy):
    draw_accuracy(accuracy, tmp_path / "a.png")
    drawn(tmp_path / "a.png")
