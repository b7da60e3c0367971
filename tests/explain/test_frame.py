"""Cells, centres and pixels."""

import pytest

from wholeframe.explain.frame import Frame

STRIDE_16 = Frame(((-7.5, 216.5), (-7.5, 216.5)))


def test_the_cell_of_a_pixel_is_the_one_whose_centre_is_nearest():
    for pixel in range(224):
        cell, _ = STRIDE_16.cell((pixel, 0), (14, 14))
        centres = [0.5 + 16 * k for k in range(14)]
        assert abs(centres[cell] - pixel - 0.5) == min(abs(centre - pixel - 0.5) for centre in centres)


def test_a_pixel_beyond_the_frame_is_in_the_outermost_cell():
    assert STRIDE_16.cell((223, 0), (14, 14)) == (13, 0)
    assert Frame(((4, 8), (4, 8))).cell((0, 20), (2, 2)) == (0, 1)


def test_a_centre_is_in_its_own_cell():
    frame = Frame(((-2.0, 14.0), (3.0, 9.0), (0.0, 100.0)))
    grid = (4, 3, 50)
    for cell in ((0, 0, 0), (3, 2, 49), (1, 1, 7)):
        assert frame.cell([at - 0.5 for at in frame.centre(cell, grid)], grid) == cell
    assert frame.centre((0, 2, 1), grid) == (0.0, 8.0, 3.0)


def test_a_frame_contains_the_pixels_whose_centres_are_within():
    frame = Frame(((10, 30), (20, 60)))
    assert frame.contains((10, 20)) and frame.contains((29, 59))
    assert not any(frame.contains(pixel) for pixel in ((9, 30), (30, 30), (20, 19), (20, 60)))


def test_other_pixels():
    assert Frame.whole((100, 50)).scaled((0.5, 2)) == Frame.whole((50, 100))
    with pytest.raises(ValueError, match="zip"):
        Frame.whole((100, 50)).scaled((1, 1, 1))
