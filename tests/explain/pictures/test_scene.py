"""The queries that are spread over a picture, and the records of a block for each of them."""

import numpy as np
import pytest
import torch

from wholeframe.explain.pictures.scene import spread


def test_the_first_query_is_at_the_centre():
    assert spread(1, (100, 61)) == [(50, 30)]
    assert spread(1, (9, 100, 60)) == [(4, 50, 30)]


@pytest.mark.parametrize("size", [(1, 1), (7, 500), (8, 112, 112)])
def test_queries_lie_within_the_picture(size):
    found = np.array(spread(50, size))
    assert (found >= 0).all() and (found < size).all()


@pytest.mark.parametrize("count", [4, 9, 16])
def test_queries_are_apart(count):
    """No two are nearer than half of the distance of a square grid of as many."""
    places = np.array(spread(count, (1000, 1000)))
    apart = np.linalg.norm(places[:, None] - places, axis=2)[~np.eye(count, dtype=bool)]
    assert apart.min() > 500 / count**0.5


def test_of_a_map_that_depends_on_no_query_the_first_is_taken(view, photograph, record):
    shared, own = record(torch.ones(4, 4), "shared", site="a"), record(torch.ones(4, 4), site="b")
    gates = record(torch.ones(8), "channel", site="a")
    found = view(photograph, [shared, gates, own], [shared, gates], [shared, gates, own]).blocks()
    assert [(list(each), next(iter(each.values())).site) for each in found] == [([0], "a"), ([0], "a"), ([0, 2], "b")]


def test_several_maps_of_a_kind_are_kept(view, photograph, record):
    two = [record(torch.ones(4, 4)), record(torch.zeros(4, 4))]
    assert [float(each[1].weights.sum()) for each in view(photograph, two, two).blocks()] == [16, 0]
