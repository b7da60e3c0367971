"""Which frames of a clip are drawn, and where the arrows go."""

import math

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from wholeframe.explain.frame import Frame
from wholeframe.explain.pictures.film import Film, paint_arrows, share_of, strongest


def arrows(film, found, keys):
    """The ends of the arrows, from the widest on, and their widths."""
    axis = Figure().add_subplot()
    film.paint(axis)
    paint_arrows(axis, film, found, keys)
    drawn = [patch for patch in axis.patches if isinstance(patch, FancyArrowPatch)]
    drawn.sort(key=lambda arrow: -arrow.get_linewidth())
    return [arrow._posA_posB for arrow in drawn], [arrow.get_linewidth() for arrow in drawn]


def test_the_frames_are_those_at_the_centres_of_the_cells(clip, record):
    assert Film.of(clip, record(torch.ones(4, 2, 2))).times == (1, 3, 5, 7)
    early = Frame(((-1.5, 6.5), (0, 32), (0, 32)))  # cells of two frames with their centres at -0.5, 1.5, 3.5, 5.5
    assert Film.of(clip, record(torch.ones(4, 2, 2), key_frame=early)).times == (0, 1, 3, 5)


@pytest.mark.parametrize(("cells", "columns"), [(1, 1), (4, 4), (8, 8), (9, 5), (32, 8)])
def test_many_frames_wrap_into_rows(clip, record, cells, columns):
    assert Film.of(clip, record(torch.ones(cells, 2, 2))).columns == columns


@pytest.mark.parametrize("key", [(0, 0, 0), (3, 7, 7), (2, 1, 6)])
def test_an_arrow_goes_from_the_query_to_its_key(clip, planted, key):
    found = planted(key, (4, 8, 8), cell=(1, 4, 3))
    film = Film.of(clip, found)
    ends, _ = arrows(film, found, strongest(found, 1))
    top, left = film.corner(key[0])
    row, column = film.corner(1)
    assert ends == [[(column + 14, row + 18), (left + 4 * key[2] + 2, top + 4 * key[1] + 2)]]


def test_pooled_keys_have_a_frame_of_their_own(clip, planted):
    """Keys over the left half alone; the query is on the grid of the whole."""
    half = Frame(((0, 8), (0, 32), (0, 16)))
    found = planted((0, 0, 1), (4, 2, 2), key_frame=half, grid=(4, 8, 8), cell=(0, 0, 0))
    ends, _ = arrows(Film.of(clip, found), found, strongest(found, 1))
    assert ends == [[(2, 2), (12, 8)]]


def test_a_stronger_key_has_a_wider_arrow(clip, record):
    weights = torch.zeros(4, 2, 2)
    weights[0, 0, 0], weights[3, 1, 1], weights[2, 0, 1] = 0.5, -1.0, 0.25
    found = record(weights)
    assert strongest(found) == [15, 0, 9]
    _, widths = arrows(Film.of(clip, found), found, strongest(found))
    assert widths == sorted(widths, reverse=True) and len(set(widths)) == 3


def test_the_cell_of_the_query_itself_has_no_arrow(clip, planted):
    found = planted((1, 4, 3), (4, 8, 8), cell=(1, 4, 3))
    assert arrows(Film.of(clip, found), found, strongest(found)) == ([], [])


def test_the_share_of_the_strongest(record):
    found = record(torch.tensor([[4.0, -3.0], [2.0, 1.0]]))
    assert share_of(found, strongest(found, 2)) == 0.7
    assert share_of(record(torch.zeros(2, 2)), []) == 0


def test_equal_weights_are_taken_in_order(record):
    assert strongest(record(torch.ones(3, 3)), 4) == [0, 1, 2, 3]


def test_the_rows_of_a_film_do_not_overlap(clip, record):
    film = Film.of(clip, record(torch.ones(16, 2, 2)))
    corners = np.array([film.corner(picture) for picture in range(16)])
    apart = abs(corners[:, None] - corners)
    assert ((apart[..., 0] >= 32) | (apart[..., 1] >= 32) | np.eye(16, dtype=bool)).all()
    assert math.isclose(film.tall, film.size[0] / film.size[1])
