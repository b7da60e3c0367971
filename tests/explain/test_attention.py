"""The attention of one pixel, in the blocks of whole networks."""

from functools import partial

import pytest
import torch

from wholeframe.blocks import BLOCKS, GlobalContext, NonLocal, SqueezeExcite
from wholeframe.explain.attention import attention, blocks_with_attention
from wholeframe.models.toy import ToyNet
from wholeframe.surgery.insert import insert

IMAGE = torch.randn(1, 3, 32, 24, generator=torch.Generator().manual_seed(0))


def small(block, at="stage3"):
    """A grid of 4 x 3 cells of 8 x 8 pixels after stage3; weights are large, so that attention is not uniform."""
    torch.manual_seed(0)
    network = ToyNet(2, strides=(2, 2, 2))
    insert(network, block, at, IMAGE)
    return network


@pytest.fixture
def network():
    return small(partial(NonLocal, std=1.0))


def test_weights_are_those_of_the_blocks_own_input(network):
    block, seen = network.stage3[-1].wholeframe, []
    block.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    (found,) = attention(network, IMAGE, (17, 9))
    network.eval()(IMAGE)
    assert found.block == "NonLocal" and found.site == "stage3.2" and found.cell == (2, 1)
    expected = block.attention(seen[-1], [2 * 3 + 1])[0, 0]
    assert found.weights.shape == (4, 3) and torch.equal(found.weights, expected)
    assert expected.std() > 0.01, "weights of 1/12 each would be equal for every query"


@pytest.mark.parametrize("name", [name for name in BLOCKS if BLOCKS[name].make(64).has_attention])
def test_weights_sum_to_one_where_they_are_a_softmax(name):
    (found,) = attention(small(BLOCKS[name].make), IMAGE, (0, 0))
    assert found.weights.isfinite().all()
    if name not in ("nl_dot", "nl_concatenation"):
        assert found.weights.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("query", "cell"), [((0, 0), (0, 0)), ((7, 7), (0, 0)), ((8, 23), (1, 2)), ((31, 0), (3, 0)), ((31, 23), (3, 2))]
)
def test_the_query_is_the_cell_that_contains_the_pixel(network, query, cell):
    assert attention(network, IMAGE, query)[0].cell == cell


def test_another_query_another_attention(network):
    first, second = (attention(network, IMAGE, query)[0].weights for query in ((0, 0), (31, 23)))
    assert not torch.equal(first, second)


def test_pooled_keys_have_their_own_grid():
    (found,) = attention(small(partial(NonLocal, pool=2)), IMAGE, (31, 23))
    assert found.weights.shape == (2, 1) and found.cell == (3, 2)


def test_every_block_with_attention_or_one_of_them():
    network = small(GlobalContext, ["stage1", "stage3"])
    insert(network, SqueezeExcite, "stage2", IMAGE)
    assert list(blocks_with_attention(network)) == ["stage1.2.wholeframe", "stage3.2.wholeframe"]
    found = attention(network, IMAGE, (31, 23))
    assert [(a.site, a.cell, tuple(a.weights.shape)) for a in found] == [
        ("stage1.2", None, (16, 12)),
        ("stage3.2", None, (4, 3)),
    ]
    for site in ("stage3.2", "stage3.2.wholeframe"):
        (one,) = attention(network, IMAGE, (31, 23), site)
        assert one.site == "stage3.2" and torch.equal(one.weights, found[1].weights)


def test_the_network_is_left_as_it_was(network):
    network.train()
    network.stage1.eval()
    flags = [module.training for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    attention(network, IMAGE, (0, 0))
    assert [module.training for module in network.modules()] == flags
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert not any(module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize("query", [(32, 0), (0, 24), (-1, 0), (0, -1)])
def test_a_query_outside_the_image(network, query):
    sentence = rf"the query y={query[0]} x={query[1]} lies outside the image of 32 x 24 pixels: .* 0 to 31, .* 0 to 23"
    with pytest.raises(ValueError, match=sentence):
        attention(network, IMAGE, query)


@pytest.mark.parametrize("block", [None, SqueezeExcite])
def test_nothing_to_show(block):
    network = small(block) if block else ToyNet(2, strides=(2, 2, 2))
    with pytest.raises(ValueError, match=r"no block of this network has attention; .* nl, gc and snl"):
        attention(network, IMAGE, (0, 0))


def test_an_unknown_site(network):
    with pytest.raises(ValueError, match=r"there is no block with attention at 'stage2'; there are stage3\.2"):
        attention(network, IMAGE, (0, 0), "stage2")
