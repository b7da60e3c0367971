"""The attention of one pixel, in the blocks of whole networks."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from wholeframe.blocks import BLOCKS, GlobalContext, NonLocal, SqueezeExcite
from wholeframe.explain.attention import attention, blocks_with_attention
from wholeframe.models.toy import ToyNet
from wholeframe.models.zoo import create_model
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


# ---------------------------------------------------------------------------------------------------------- detectors


class Itself(torch.nn.Module):
    """A block in which every query looks at its own cell."""

    identity_at_init = has_attention = True

    def forward(self, x):
        return x

    def attention(self, x, query):
        weights = torch.zeros(len(x), len(query), x.shape[2] * x.shape[3])
        weights[:, torch.arange(len(query)), torch.tensor(query)] = 1
        return weights.view(len(x), len(query), *x.shape[2:])

    def multiply_adds(self, grid):
        return 0

    def reset_parameters(self):
        pass


@pytest.fixture(scope="module")
def detector():
    """Blocks at strides of 4 and of 16 pixels of the scaled image."""
    torch.manual_seed(0)
    network = create_model("maskrcnn_tiny", num_classes=2).eval()
    insert(network.backbone.body, lambda channels: Itself(), ["layer1", "layer3"], torch.randn(1, 3, 64, 64))
    return network


@pytest.mark.parametrize("size", [(200, 90), (90, 200), (40, 30), (700, 180)])
@pytest.mark.parametrize("query", [(0, 0), (0.5, 0.5), (0.999, 0.999), (0.2, 0.9)])
def test_a_detector_looks_where_the_photograph_is(detector, size, query):
    """Through scaling and padding that differ in both axes, the cell of a query covers its pixel in the photograph."""
    pixel = tuple(int(part * side) for part, side in zip(query, size, strict=True))
    fine, coarse = attention(detector, [torch.rand(3, *size)], pixel)
    for found, stride in ((fine, 4), (coarse, 16)):
        top, left, bottom, right = found.frame or (0, 0, *size)
        rows, columns = found.weights.shape
        scale = min(256 / min(size), 384 / max(size))
        ((row, column),) = found.weights.nonzero().tolist()
        assert (row, column) == found.cell
        for at, cell, cells, start, end in (
            (pixel[0], row, rows, top, bottom),
            (pixel[1], column, columns, left, right),
        ):
            step = (end - start) / cells
            assert cell * step <= at + 0.5 < (cell + 1) * step
            assert step == pytest.approx(stride / scale, rel=0.01)


def test_padding_has_its_share(detector):
    """An image of 90 x 200 is scaled to 172 x 384 and padded to 192 x 384."""
    found = attention(detector, [torch.rand(3, 90, 200)], (89, 100), "backbone.body.layer3.1")[0]
    even = replace(found, weights=torch.full((12, 24), 1 / 288))
    assert even.on_padding((90, 200)) == pytest.approx(20 / 192)
    assert found.on_padding((90, 200)) == pytest.approx(4 / 16)  # The last row of pixels is in a cell from 160 to 176.
    assert replace(found, weights=-even.weights).on_padding((90, 200)) == pytest.approx(20 / 192)
    assert replace(found, frame=None).on_padding((90, 200)) == 0


def test_one_photograph_in_every_form(detector):
    photo = torch.rand(3, 60, 80)
    one, other = (attention(detector, given, (30, 40)) for given in ([photo], photo[None]))
    assert all(torch.equal(a.weights, b.weights) and a.frame == b.frame for a, b in zip(one, other, strict=True))
    with pytest.raises(ValueError, match=r"one image, and 2 are given; give image\[:1\]"):
        attention(detector, [photo, photo], (30, 40))


def test_a_head_looks_at_the_region_that_contains_the_query():
    torch.manual_seed(0)
    network, photo = create_model("keypointrcnn_tiny_nl4").eval(), torch.rand(3, 100, 170)
    with torch.no_grad():
        boxes = network([photo])[0]["boxes"]
    x1, y1, x2, y2 = boxes[7].tolist()
    pixel = int((y1 + y2) / 2), int((x1 + x2) / 2)
    first = next(
        box for box in boxes.tolist() if box[0] <= pixel[1] + 0.5 < box[2] and box[1] <= pixel[0] + 0.5 < box[3]
    )
    found = attention(network, [photo], pixel)
    assert [a.site for a in found] == [f"roi_heads.keypoint_head.{k}" for k in (3, 7, 11, 15)]
    for each in found:
        assert each.region and each.frame == pytest.approx((first[1], first[0], first[3], first[2]), abs=1e-3)
        assert each.weights.shape == (14, 14) and each.weights.sum() == pytest.approx(1, abs=1e-5)


def test_blocks_without_a_map_are_named():
    torch.manual_seed(0)
    network = create_model("keypointrcnn_tiny_nl4").eval()
    network.roi_heads.score_thresh = 2.0  # nothing is found
    photo = torch.rand(3, 60, 80)
    with pytest.raises(ValueError, match=r"no region .* contains the query y=3 x=4, so .*head\.3, .* on an object"):
        attention(network, [photo], (3, 4))
    insert(network.backbone.body, lambda channels: Itself(), "layer3", torch.randn(1, 3, 64, 64))
    with pytest.warns(UserWarning, match=r"these blocks have no map: roi_heads\.keypoint_head\.3, .*; give a pixel on"):
        found = attention(network, [photo], (3, 4))
    assert [a.site for a in found] == ["backbone.body.layer3.1"]


def test_a_block_that_does_not_run_is_named(network):
    network.spare = Itself()  # a part that is used in training alone
    with pytest.warns(UserWarning, match=r"these blocks do not run for this image and have no map: spare"):
        assert len(attention(network, IMAGE, (0, 0))) == 1


def test_a_clip_has_no_rows_and_columns():
    network = torch.nn.Sequential(torch.nn.Conv3d(3, 4, 1))
    insert(network, NonLocal, "0", torch.randn(1, 3, 2, 4, 4))
    with pytest.raises(ValueError, match=r"sees a grid of 2 x 4 x 4, and only one of rows and columns .* of the block"):
        attention(network, torch.randn(1, 3, 2, 4, 4), (0, 0))
