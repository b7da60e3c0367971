"""Bars of what a network costs."""

import numpy as np
from PIL import Image

from wholeframe.explain.costs import Bar, draw_cost
from wholeframe.explain.figures import PALETTE

GREY, RED = (np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) for colour in PALETTE[:2])


def pixels(file):
    with Image.open(file) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def area(picture, colour):
    return (abs(picture - colour).sum(axis=2) < 6).sum()


def test_areas_are_the_numbers(tmp_path):
    draw_cost({"M parameters": {"$x_1$": Bar(6, 2), "\u732b": Bar(2, 2)}}, tmp_path / "a.png", "net", "")
    picture = pixels(tmp_path / "a.png")
    assert abs(area(picture, GREY) / area(picture, RED) - 2) < 0.1


def test_a_panel_per_quantity_and_a_row_per_module(tmp_path):
    few, many = ({f"layer{n}": Bar(n, 0) for n in range(count)} for count in (3, 12))
    draw_cost({"a": few}, tmp_path / "few.png", "net", "")
    draw_cost({"a": many, "b": many}, tmp_path / "many.png", "net", "13 blocks")
    small, large = (pixels(tmp_path / f"{name}.png").shape for name in ("few", "many"))
    assert large[0] > small[0] + 200 and large[1] > small[1] + 300


def test_networks_of_blocks_alone_and_of_nothing(tmp_path):
    draw_cost({"a": {"block": Bar(0, 3), "relu": Bar(0, 0)}}, tmp_path / "a.png", "net", "1 block")
    assert area(pixels(tmp_path / "a.png"), RED) > 1000
    draw_cost({"a": {"relu": Bar(0, 0)}}, tmp_path / "b.png", "net", "")
    assert area(pixels(tmp_path / "b.png"), RED) == 0
