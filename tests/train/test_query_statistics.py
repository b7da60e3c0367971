"""The query-independence statistics of a trained network are those of its blocks on their inputs."""

import pytest
import torch
from torch import nn

from wholeframe.blocks import GlobalContext, NonLocal
from wholeframe.explain.dependence import dependence
from wholeframe.surgery.insert import insert
from wholeframe.train.query_statistics import FIGURES, query_statistics

X = torch.randn(3, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def network(*blocks):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 2, 1))
    for site, block in enumerate(blocks):
        insert(net, block, str(site), X[:1])
    return net


def random_nl(channels, **options):
    return NonLocal(channels, init="random", std=None, **options)


def test_means_over_blocks_and_samples():
    net = network(random_nl, random_nl).eval()
    first = net[0].wholeframe
    x = nn.Conv2d.forward(net[0], X)
    second_input = nn.Conv2d.forward(net[1], first(x))
    each = [dependence(first, x), dependence(net[1].wholeframe, second_input)]
    net.train()
    found = query_statistics(net, X)
    assert net.training, "the mode is as before"
    for name, figure in zip(FIGURES, ("input", "output", "attention", "divergence"), strict=True):
        mean = sum(getattr(one, figure).mean().item() for one in each) / 2
        assert found[name] == pytest.approx(
            mean, rel=1e-5
        )  # The grid has fewer positions than queries of the estimate.


def test_what_is_not_there_is_none():
    assert query_statistics(network(GlobalContext), X) == dict.fromkeys(FIGURES)
    found = query_statistics(network(lambda channels: random_nl(channels, kind="dot")), X)
    assert found["divergence"] is None and 0 <= found["cos_attention"] <= 1


def test_a_query_that_is_the_same_everywhere_has_no_dependence():
    net = network(random_nl)
    nn.init.zeros_(net[0].wholeframe.theta.weight)
    found = query_statistics(net, X)
    assert found["cos_attention"] < 1e-6 and found["divergence"] < 1e-6 and found["cos_input"] > 0.01
