"""The attention of one pixel, in the blocks of whole networks."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from wholeframe.blocks import BLOCKS, GlobalContext, NonLocal, SqueezeExcite
from wholeframe.explain.attention import attention, blocks_with_attention
from wholeframe.explain.frame import Frame
from wholeframe.explain.recording import Recording
from wholeframe.models.toy import ToyNet
from wholeframe.models.zoo import create_model
from wholeframe.surgery.insert import insert

IMAGE = torch.randn(1, 3, 32, 24, generator=torch.Generator().manual_seed(0))


def small(block, at="stage3"):
    """A grid of 4 x 3 cells, 8 pixels apart, after stage3; weights are large, so that attention is not uniform."""
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


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", [name for name in BLOCKS if BLOCKS[name].make(64).has_attention])
def test_weights_sum_to_one_where_they_are_a_softmax(name):
    (found,) = attention(small(BLOCKS[name].make), IMAGE, (0, 0))
    assert found.weights.isfinite().all()
    if name not in ("nl_dot", "nl_concatenation"):
        assert found.weights.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("query", "cell"),
    [((0, 0), (0, 0)), ((3, 3), (0, 0)), ((4, 4), (1, 1)), ((11, 12), (1, 2)), ((31, 0), (3, 0)), ((31, 23), (3, 2))],
)
def test_the_query_is_the_cell_whose_centre_is_nearest(network, query, cell):
    """Three layers of stride 2 with windows of 3 have their centres at pixels 0, 8, 16, ..."""
    (found,) = attention(network, IMAGE, query)
    assert found.cell == cell and found.query == query
    assert found.frame.intervals == ((-3.5, 28.5), (-3.5, 20.5))


def test_another_query_another_attention(network):
    first, second = (attention(network, IMAGE, query)[0].weights for query in ((0, 0), (31, 23)))
    assert not torch.equal(first, second)


def test_pooled_keys_have_their_own_grid():
    (found,) = attention(small(partial(NonLocal, pool=2)), IMAGE, (31, 23))
    assert found.weights.shape == (2, 1) and found.cell == (3, 2) and found.grid == (4, 3)
    assert found.frame.intervals == ((-3.5, 28.5), (-3.5, 20.5))
    assert found.key_frame.intervals == ((-3.5, 28.5), (-3.5, 12.5))  # The third column fills no window.


def test_every_block_with_attention_or_one_of_them():
    network = small(GlobalContext, ["stage1", "stage3"])
    insert(network, SqueezeExcite, "stage2", IMAGE)
    assert list(blocks_with_attention(network)) == ["stage1.2.wholeframe", "stage3.2.wholeframe"]
    found = attention(network, IMAGE, (31, 23))
    assert [(a.site, a.kind, a.cell, tuple(a.weights.shape)) for a in found] == [
        ("stage1.2", "shared", None, (16, 12)),
        ("stage2.2", "channel", None, (48,)),
        ("stage3.2", "shared", None, (4, 3)),
    ]
    for site in ("stage3.2", "stage3.2.wholeframe"):
        (one,) = attention(network, IMAGE, (31, 23), site)
        assert one.site == "stage3.2" and torch.equal(one.weights, found[2].weights)


def test_the_network_is_left_as_it_was(network):
    network.train()
    network.stage1.eval()
    flags = [module.training for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    attention(network, IMAGE, (0, 0))
    assert [module.training for module in network.modules()] == flags
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_queries_as_arrays(network):
    for one in (torch.tensor([8, 23]), np.array([8, 23]), [8, 23]):
        assert attention(network, IMAGE, one)[0].cell == (1, 2)
    for two in (torch.tensor([[8, 23], [0, 0]]), np.array([[8, 23], [0, 0]]), [[8, 23], [0, 0]], ((8, 23), (0, 0))):
        assert [found.cell for found in attention(network, IMAGE, two)] == [(1, 2), (0, 0)]


def test_a_class_is_no_network():
    with pytest.raises(TypeError, match=r"model is the class ToyNet, .* give an nn\.Module"):
        attention(ToyNet, IMAGE, (0, 0))


@pytest.mark.parametrize("query", [(32, 0), (0, 24), (-1, 0), (0, -1)])
def test_a_query_outside_the_image(network, query):
    sentence = rf"the query y={query[0]} x={query[1]} lies outside the image of 32 x 24 pixels: .* 0 to 31, .* 0 to 23"
    with pytest.raises(ValueError, match=sentence):
        attention(network, IMAGE, query)


def test_nothing_to_show():
    with pytest.raises(
        ValueError, match=r"ToyNet has no wholeframe block to look into; insert one first, such as wf\.i"
    ):
        attention(ToyNet(2, strides=(2, 2, 2)), IMAGE, (0, 0))
    with pytest.raises(ValueError, match=r"these blocks weigh all positions alike and have no map: stage3\.2"):
        attention(small(partial(GlobalContext, context="mean")), IMAGE, (0, 0))


def test_an_unknown_site(network):
    with pytest.raises(ValueError, match=r"there is no block at 'stage2'; there are stage3\.2"):
        attention(network, IMAGE, (0, 0), "stage2")


def test_several_queries_and_none(network):
    insert(network, GlobalContext, "stage2", IMAGE)
    queries = [(0, 0), (31, 23)]
    found = attention(network, IMAGE, queries)
    assert [(a.site, a.query) for a in found] == [
        ("stage2.2", None),
        ("stage3.2", (0, 0)),
        ("stage2.2", None),
        ("stage3.2", (31, 23)),
    ]
    for one, both in zip(attention(network, IMAGE, queries[1]), found[2:], strict=True):
        assert torch.equal(one.weights, both.weights) and one.cell == both.cell
    with pytest.warns(UserWarning, match=r"no query is given, so the blocks that need one look from the centre"):
        centre = attention(network, IMAGE)
    assert centre[1].query == (16, 12) and torch.equal(
        centre[1].weights, attention(network, IMAGE, (16, 12))[1].weights
    )
    assert attention(network, IMAGE, site="stage2.2")[0].kind == "shared"  # It needs no query, so nothing is said.


# ---------------------------------------------------------------------------------------------------------- detectors


class Itself(torch.nn.Module):
    """A block in which every query looks at its own cell."""

    identity_at_init = has_attention = True

    def forward(self, x):
        return x

    def attention(self, x, query):
        weights = torch.zeros(len(x), len(query), x.shape[2:].numel())
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


@pytest.mark.slow_beyond(3)
@pytest.mark.parametrize("size", [(200, 90), (90, 200), (40, 30), (700, 180)])
@pytest.mark.parametrize("query", [(0, 0), (0.5, 0.5), (0.999, 0.999), (0.2, 0.9)])
def test_a_detector_looks_where_the_photograph_is(detector, size, query):
    """Through scaling and padding that differ in both axes, the cell of a query covers its pixel in the photograph."""
    pixel = tuple(int(part * side) for part, side in zip(query, size, strict=True))
    fine, coarse = attention(detector, [torch.rand(3, *size)], pixel)
    for found, stride in ((fine, 4), (coarse, 16)):
        scale = min(256 / min(size), 384 / max(size))
        (cell,) = map(tuple, found.weights.nonzero().tolist())
        assert cell == found.cell
        for at, centre, (start, end), cells in zip(
            pixel, found.frame.centre(cell, found.grid), found.frame.intervals, found.grid, strict=True
        ):
            step = (end - start) / cells
            assert step == pytest.approx(stride / scale, rel=0.01)
            assert start + step / 2 == pytest.approx(0.5 / scale, rel=0.01)  # The first cell sees the first pixel.
            others = torch.arange(cells) * step + start + step / 2
            assert abs(at + 0.5 - centre) == pytest.approx(float((others - at - 0.5).abs().min()), abs=1e-3)


def test_padding_has_its_share(detector):
    """An image of 90 x 200 is scaled to 172 x 384 and padded to 192 x 384."""
    found = attention(detector, [torch.rand(3, 90, 200)], (89, 100), "backbone.body.layer3.1")[0]
    even = replace(found, weights=torch.full((12, 24), 1 / 288))
    assert even.on_padding((90, 200)) == pytest.approx(1 / 12)  # The centre of the last row of cells is at 176.5.
    assert found.cell == (11, 12) and found.on_padding((90, 200)) == 1  # The nearest centre to the last row of pixels.
    assert replace(found, weights=-even.weights).on_padding((90, 200)) == pytest.approx(1 / 12)
    assert replace(even, key_frame=Frame.whole((90, 200))).on_padding((90, 200)) == 0


def test_one_photograph_in_every_form(detector):
    photo = torch.rand(3, 60, 80)
    one, other = (attention(detector, given, (30, 40)) for given in ([photo], photo[None]))
    assert all(torch.equal(a.weights, b.weights) and a.frame == b.frame for a, b in zip(one, other, strict=True))
    with pytest.raises(ValueError, match=r"one image or clip, and 2 are given; give image\[:1\]"):
        attention(detector, [photo, photo], (30, 40))


@pytest.mark.slow
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
    outside = next(
        pixel
        for pixel in ((0, 0), (99, 169), (0, 169), (99, 0))
        if not any(b[0] <= pixel[1] + 0.5 < b[2] and b[1] <= pixel[0] + 0.5 < b[3] for b in boxes.tolist())
    )
    with pytest.raises(ValueError, match=r"no region .* contains the query y=\d+ x=\d+, so .*head\.3, .* on an object"):
        attention(network, [photo], outside)
    for each in found:
        assert each.region
        for side, (start, end) in enumerate(each.frame.intervals):
            assert (start, end) == pytest.approx((first[1 - side], first[3 - side]), abs=1e-3)
        assert each.weights.shape == (14, 14) and each.weights.sum() == pytest.approx(1, abs=1e-5)


def test_blocks_without_a_map_are_named():
    torch.manual_seed(0)
    network = create_model("keypointrcnn_tiny_nl4").eval()
    network.roi_heads.score_thresh = 2.0  # nothing is found
    photo = torch.rand(3, 60, 80)
    with pytest.raises(ValueError, match=r"the detector finds no object, so these blocks of its heads .*head\.3, "):
        attention(network, [photo], (3, 4))
    insert(network.backbone.body, lambda channels: Itself(), "layer3", torch.randn(1, 3, 64, 64))
    with pytest.warns(UserWarning, match=r"so these blocks of its heads have no map: roi_heads\.keypoint_head\.3, "):
        found = attention(network, [photo], (3, 4))
    assert [a.site for a in found] == ["backbone.body.layer3.1"]


def test_a_block_that_does_not_run_is_named(network):
    network.spare = Itself()  # a part that is used in training alone
    with pytest.warns(UserWarning, match=r"these blocks do not run for this input and have no map: spare"):
        assert len(attention(network, IMAGE, (0, 0))) == 1


# -------------------------------------------------------------------------------------------------------------- clips


def test_a_position_of_a_clip_has_a_frame_a_row_and_a_column():
    network, clip = torch.nn.Sequential(torch.nn.Conv3d(3, 4, 1, (2, 1, 1))), torch.randn(1, 3, 6, 4, 5)
    insert(network, lambda channels: Itself(), "0", clip)
    (found,) = attention(network, clip, (4, 1, 3))
    assert found.grid == (3, 4, 5) and found.cell == (2, 1, 3) and found.weights[2, 1, 3] == 1
    assert found.frame.intervals == ((-0.5, 5.5), (0, 4), (0, 5))
    with pytest.raises(ValueError, match=r"the query \(0, 0\) is not a position \(t, y, x\) in an input of 6 x 4 x 5"):
        attention(network, clip, (0, 0))
    with pytest.raises(
        ValueError, match=r"t=6 y=0 x=0 lies outside the clip of 6 x 4 x 5: t counts frames, 0 to 5, y c"
    ):
        attention(network, clip, (6, 0, 0))


class Frames(torch.nn.Module):
    """A network for images on the frames of a clip, one by one, and one for clips as transformers take them."""

    def __init__(self):
        super().__init__()
        self.images = torch.nn.Conv2d(3, 4, 2, 2)
        self.clips = torch.nn.Conv3d(3, 4, 1)

    def forward(self, clip):
        return self.images(clip.flatten(0, 1)), self.clips(clip.transpose(1, 2))


def test_frames_in_the_batch_and_frames_before_channels():
    network, clip = Frames(), torch.randn(1, 5, 3, 4, 6)
    network.images.add_module("block", Itself())
    network.images.register_forward_hook(lambda layer, _args, y: layer.block(y))
    insert(network, lambda channels: Itself(), "clips", clip)
    of_images, of_clips = attention(network, clip, (3, 1, 5))
    assert of_clips.site == "clips" and of_clips.cell == (3, 1, 5) and not of_clips.region
    assert of_images.region and of_images.grid == (1, 2, 3) and of_images.cell == (0, 0, 2)
    assert of_images.weights.shape == (1, 2, 3) and of_images.weights[0, 0, 2] == 1
    assert of_images.frame.intervals == ((3, 4), (0, 4), (0, 6))
    with pytest.raises(ValueError, match=r"sees frames or windows of the input one by one; take `attention` of each"):
        Recording(network, clip).rows("images.block", [(0, 0)])


# --------------------------------------------------------------------------------------------------------- wrong input


@pytest.mark.slow_beyond(5)
@pytest.mark.parametrize(
    ("x", "query", "sentence"),
    [
        (IMAGE, (1, 2, 3), r"the query \(1, 2, 3\) is not a position \(y, x\) in an input of 32 x 24; give \(y, x\)"),
        (IMAGE, 5, r"the query 5 is not a position \(y, x\)"),
        (IMAGE, "ab", r"the query 'ab' is not a position \(y, x\)"),
        (
            IMAGE,
            (1.5, 2),
            r"the query \(1\.5, 2\) has a part that is not a whole number; .* give whole numbers \(y, x\)",
        ),
        (IMAGE.repeat(2, 1, 1, 1), (0, 0), r"attention is of one image or clip, and 2 are given; give image\[:1\]$"),
        (IMAGE[0], (0, 0), r"and 3 are given; give image\[:1\], or x\[None\] for one image \(c, h, w\)"),
        (IMAGE.long(), (0, 0), r"the input holds no image \(1, c, h, w\) and no clip"),
        ({}, (0, 0), r"the input holds no image"),
        (
            IMAGE[:, :2],
            (0, 0),
            r"ToyNet does not run on this input \(RuntimeError: .*\); give x as the network takes it: ",
        ),
        (IMAGE, [], r"the query \[\] is not a position \(y, x\)"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(network, x, query, sentence):
    with pytest.raises(ValueError, match=sentence):
        attention(network, x, query)
