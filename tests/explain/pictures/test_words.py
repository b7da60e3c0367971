"""The sentence about every block."""

import torch

from wholeframe.explain.frame import Frame
from wholeframe.explain.pictures.words import at, described


def test_queries_in_words():
    assert (at((3, 4)), at((1, 3, 4))) == ("y=3 x=4", "t=1 y=3 x=4")


def test_every_kind_in_words(view, photograph, record):
    found = [
        record(torch.ones(4, 4), site="a"),
        record(torch.ones(4, 4), "shared", site="b"),
        record(torch.ones(8), "channel", site="c"),
        record(torch.ones(4, 4), "position", site="d", region=True),
    ]
    assert described(view(photograph, found)) == [
        "NonLocal at a, query cell (2, 2)",
        "NonLocal at b, one map for all queries",
        "NonLocal at c, gates of channels",
        "NonLocal at d, gates of positions on the region that contains the query",
    ]


def test_several_queries_and_padding(view, photograph, planted):
    beyond = Frame(((0, 64), (0, 32)))
    one = planted((0, 0), (4, 4), key_frame=beyond)
    other = planted((3, 3), (4, 4), key_frame=beyond)
    assert described(view(photograph, [one], [other])) == [
        "NonLocal at layer3.4, query cells (2, 2) (2, 2) (100% of the weights on the padding of the detector), mean "
        "cosine distance of their maps 0.5"
    ]
