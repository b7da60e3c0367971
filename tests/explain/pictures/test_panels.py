"""Which panels a view has, in which rows, and what their titles say."""

import pytest
import torch
from rounding import bound

from wholeframe.explain.pictures.panels import compared, difference, strips_of
from wholeframe.explain.pictures.sheet import lay_out


def titles(strips):
    return [[panel.title for panel in strip] for strip in strips]


def softmax(*grid, seed=0):
    return torch.randn(grid, generator=torch.Generator().manual_seed(seed)).flatten().softmax(dim=0).view(grid)


def test_one_query_of_a_photograph_is_one_strip(view, photograph, record):
    found = [record(softmax(4, 4), site="a"), record(softmax(2, 2), "shared", site="b")]
    assert titles(strips_of(view(photograph, found))) == [
        ["query 1", "NonLocal at a\n4 x 4 keys", "NonLocal at b\n2 x 2, one map for all queries"]
    ]


def test_several_queries_have_a_strip_per_block(view, photograph, record):
    """The maps that depend on no query come last, once."""
    found = [
        [record(softmax(4, 4, seed=seed), site="a"), record(torch.ones(8), "channel", site="b")] for seed in range(3)
    ]
    first, last = titles(strips_of(view(photograph, *found)))
    assert first[0].startswith("NonLocal at a\n3 queries; mean cosine distance of their maps 0.")
    assert first[1:] == [f"query {number}\n4 x 4 keys" for number in (1, 2, 3)]
    assert len(last) == 1 and last[0].startswith("NonLocal at b\ngates of 8 channels\n")


def test_a_query_without_a_map_has_no_panel(view, photograph, record):
    """A block of a detector's head sees regions, and a query may lie in none of them."""
    region = record(softmax(4, 4), site="a", region=True)
    (strip,) = strips_of(view(photograph, [region], []))
    assert titles([strip]) == [["NonLocal at a\none query", "query 1\n4 x 4 keys of the region"]]


def test_a_clip_has_a_film_per_block_and_query(view, clip, record):
    found = [record(softmax(4, 2, 2), site="a"), record(softmax(4, 2, 2), "shared", site="b")]
    (one, two), (shared,) = strips_of(view(clip, found, found))
    assert one.wide and shared.wide
    assert one.title.startswith("NonLocal at a, query 1\nthe 16 strongest have 100% of the weight\n4 x 2 x 2 keys")
    assert two.title.startswith("NonLocal at a, query 2\n")


def test_arrows_over_a_photograph(view, photograph, record):
    (strip,) = strips_of(view(photograph, [record(torch.tensor([[0.5, -0.25], [0.25, 0.0]]))]), top=2)
    assert strip[1].title.splitlines()[1] == "the 2 strongest have 75% of the weight; amber is positive, blue negative"


def test_a_rule_is_said_once_per_block(view, photograph, record):
    found = [[record(softmax(4, 4), rule="divided by their sum")] for _ in range(2)]
    (strip,) = titles(strips_of(view(photograph, *found)))
    assert [title.count("divided by their sum") for title in strip] == [1, 0, 0]
    (strip,) = titles(strips_of(view(photograph, found[0])))
    assert [title.count("divided by their sum") for title in strip] == [0, 1]


def test_equal_weights_are_said(view, photograph, record):
    (strip,) = strips_of(view(photograph, [record(torch.full((3, 3), 1 / 9))]))
    assert strip[1].title.endswith("3 x 3 keys, all weights are equal")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_said(view, photograph, record, value):
    weights = softmax(3, 3)
    weights[0, 0] = value
    for top in (None, 5):
        (strip,) = strips_of(view(photograph, [record(weights)]), top)
        assert strip[1].title.endswith("3 x 3 keys, 1 of 9 weights are not finite")
        lay_out([strip]).figure.canvas.draw()


def test_a_covariance_has_a_panel(view, photograph, record):
    found = record(torch.ones(8), "channel", covariance=torch.eye(4))
    (strip,) = strips_of(view(photograph, [found]))
    assert strip[2].title.endswith("covariance of 4 channels")


def test_two_networks_are_next_to_each_other(view, photograph, record):
    a = [record(softmax(4, 4), site="a"), record(softmax(4, 4), site="b")]
    c = [record(softmax(4, 4), site="b"), record(softmax(4, 4), site="c")]
    strips = titles(compared([view(photograph, a, title="one"), view(photograph, c, title="two")]))
    assert strips == [
        ["query 1", "one\nNonLocal at a\n4 x 4 keys", "two\nNonLocal at c\n4 x 4 keys"],
        ["query 1", "one\nNonLocal at b\n4 x 4 keys", "two\nNonLocal at b\n4 x 4 keys"],
    ]


def test_a_network_with_more_sites(view, photograph, record):
    few = view(photograph, [record(softmax(4, 4), site="a")], title="few")
    many = view(photograph, [record(softmax(4, 4), site=site) for site in "xyza"], title="many")
    for pair in ((few, many), (many, few)):
        sites = sorted(panel.title.split("\n")[1] for strip in compared(pair) for panel in strip[1:])
        assert sites == sorted(f"NonLocal at {site}" for site in "aaxyz")


def test_two_networks_and_two_queries(view, clip, photograph, record):
    found = [record(softmax(4, 4), site="a"), record(torch.ones(8), "channel", site="b")]
    strips = compared([view(photograph, found, found, title="one"), view(photograph, found, found, title="two")])
    assert [[title.split("\n")[0] for title in strip] for strip in titles(strips)] == [
        ["query 1", "one", "two"],
        ["query 2", "one", "two"],
        ["query 1", "one", "two"],
    ]
    film = [record(softmax(4, 2, 2))]
    (strip,) = titles(compared([view(clip, film, title="one"), view(clip, film, title="two")]))
    assert [title.splitlines()[:3] for title in strip] == [
        [n, "NonLocal at layer3.4", "query 1"] for n in ("one", "two")
    ]


def test_the_distance_of_maps_is_its_definition(record):
    maps = [record(torch.randn(3, 5, generator=torch.Generator().manual_seed(seed))) for seed in range(4)]
    rows = torch.stack([each.weights.double().flatten() for each in maps])
    cosines = torch.nn.functional.cosine_similarity(rows[:, None], rows[None], dim=2)
    apart = [(1 - cosines[i, j].item()) / 2 for i in range(4) for j in range(i)]
    assert difference(maps) == pytest.approx(sum(apart) / len(apart), abs=bound(15, 1))
    assert difference([maps[0]] * 3) == pytest.approx(0, abs=bound(15, 1))


def test_names_from_outside(view, photograph, record):
    odd = "a$\\frac$ 猫" + "x" * 100
    (strip,) = strips_of(view(photograph, [record(softmax(2, 2), site=odd)], title=odd))
    assert all(len(line) <= 60 and "猫" not in line for panel in strip for line in panel.title.splitlines())
