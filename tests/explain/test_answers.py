"""Figures of answers, looked at by their pixels: readable names for few classes, none for many."""

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from wholeframe.explain import answers
from wholeframe.explain.answers import draw_confusion, draw_over_time

ODD = ["x$\\frac$", "[bold]<b>\n", "\udcff", "猫", "a" * 300]


def size_and_colours(file):
    """The width and height of a PNG, and how many pixels have each colour."""
    with Image.open(file) as image:
        assert image.format == "PNG"
        return image.size, {colour: count for count, colour in image.convert("RGB").getcolors(1 << 24)}


def confusion(count):
    cells = np.eye(count, dtype=int) * 3
    cells[0, 1] = 1
    return cells / cells.sum(axis=1, keepdims=True), cells


@pytest.fixture
def texts(monkeypatch):
    """All texts of the figures that are saved, by what they say."""
    seen = {}

    class Kept(answers.Figure):
        def savefig(self, *arguments, **options):
            super().savefig(*arguments, **options)
            seen.update({text.get_text(): text for text in self.findobj(match=Text) if text.get_text()})

    monkeypatch.setattr(answers, "Figure", Kept)
    return seen


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(("count", "named", "numbered"), [(2, True, True), (31, True, False), (61, False, False)])
def test_few_classes_have_names_and_numbers(tmp_path, texts, count, named, numbered):
    shares, cells = confusion(count)
    draw_confusion(shares, cells, [f"class {k}" for k in range(count)], tmp_path / "c.png", "title")
    assert ("class 1" in texts, "3" in texts, "title" in texts) == (named, numbered, True)
    (width, height), _ = size_and_colours(tmp_path / "c.png")
    assert max(width, height) < 2400


def test_a_class_without_a_sample_is_grey(tmp_path):
    shares, cells = confusion(3)
    draw_confusion(shares, cells, list("abc"), tmp_path / "full.png", "t")
    shares[1], cells[1] = np.nan, 0
    draw_confusion(shares, cells, list("abc"), tmp_path / "empty.png", "t")
    grey = [size_and_colours(tmp_path / name)[1].get((0xBB, 0xBB, 0xBB), 0) for name in ("full.png", "empty.png")]
    assert grey[0] < 100 and grey[1] > 1000


def test_names_from_outside_are_drawn_letter_by_letter(tmp_path, texts):
    draw_confusion(*confusion(5), ODD, tmp_path / "c.png", "t")
    assert {"x$\\frac$", "[bold]<b>\\n", "\\udcff", "\\u732b"} <= texts.keys()
    assert not texts["x$\\frac$"].get_parse_math()
    assert max(len(text) for text in texts if text.startswith("a")) == 24
    texts.clear()
    draw_over_time([0, 1, 2], np.full((2, 5), 0.2), ODD, tmp_path / "t.png", "x$\\frac$")
    assert {"x$\\frac$", "[bold]<b>\\n", "\\udcff", "\\u732b"} <= texts.keys()


def test_the_most_probable_classes_over_time(tmp_path, texts):
    shares = np.zeros((3, 9))
    shares[0, 7], shares[1, 2], shares[2] = 0.9, 0.8, np.nan
    draw_over_time([0, 2, 4, 7], shares, [f"class {k}" for k in range(9)], tmp_path / "t.png", "a.mp4")
    assert {"class 7", "class 2", "a.mp4, the 6 most probable of 9 classes"} <= texts.keys() and "class 8" not in texts
    assert len(size_and_colours(tmp_path / "t.png")[1]) > 20
