"""The statistics of blocks over many images, and the sentences about them."""

from functools import partial

import pytest
import torch
from planted_blocks import SITE, coloured_images, constant_query, images_with_a_cue, majority, query_per_image
from rounding import agree
from torch import nn

from wholeframe.blocks import CGNL, GlobalContext, NonLocal
from wholeframe.explain.dependence import dependence
from wholeframe.explain.survey import survey
from wholeframe.explain.variance import dense_variance
from wholeframe.models.toy import ToyNet
from wholeframe.models.zoo import create_model
from wholeframe.surgery.insert import insert


def only(network, inputs, **options):
    (found,), notes = survey(network, inputs, **options)
    return found, notes


def test_every_image_has_the_figures_of_dependence():
    torch.manual_seed(0)
    network = ToyNet(2, strides=(2, 2, 2)).double()
    images = torch.randn(5, 3, 32, 24, dtype=torch.float64)
    insert(network, partial(NonLocal, std=1.0, init="random"), ["stage2", "stage3"], images[:1])
    found, notes = survey(network, images.split(2))
    assert [row.site for row in found] == ["stage2.2", "stage3.2"] and notes == []
    seen = []
    for stage in (network.stage2, network.stage3):
        stage[-1].wholeframe.register_forward_pre_hook(lambda block, args: seen.append((block, args[0])))
    network.eval()(images)
    for row, (block, x) in zip(found, list(seen), strict=True):
        expected = dependence(block, x)
        assert row.images == 5 and row.block == "NonLocal"
        for name, values in row.values.items():
            torch.testing.assert_close(values, getattr(expected, name), rtol=0, atol=1e-12)
            assert row.mean(name) == pytest.approx(values.mean().item())


def test_every_run_of_a_shared_block_counts():
    torch.manual_seed(0)
    block = NonLocal(3, init="random")

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = block

        def forward(self, x):
            return self.block(self.block(x)[..., :4])

    found, _ = only(Twice(), [torch.randn(2, 3, 5, 6)])
    assert found.images == 4 and found.positions == 30


def test_shares_are_those_of_the_definition():
    network = query_per_image()
    images = images_with_a_cue(6, 0)
    found, _ = only(network, [images])
    block = network.stem.wholeframe
    x = images  # the site is an identity
    vectors = {
        "query_between": block.project(x)[0],
        "attention_between": block.attention(x, range(64)).flatten(2),
        "output_between": (block(x) - x).flatten(2).mT,
    }
    for name, of_images in vectors.items():
        within, between = dense_variance(list(of_images.detach()))
        share, expected = found.shares[name], between / (within + between)
        agree(*(torch.tensor(each, dtype=torch.float64) for each in (share, expected)), terms=6 * 64 * 64)


def test_a_query_that_differs_between_images_is_named():
    found, _ = only(query_per_image(), [images_with_a_cue(16, 0)])
    for name in ("output", "attention", "divergence"):
        assert found.mean(name) < 1e-5, "the statistics within an image see nothing"
    assert found.shares["query_between"] > 0.99
    (note,) = found.notes()
    assert note == (
        f"{SITE}: 100% of the variance of the query lies between images, which no statistic within an image sees, so "
        "one query for all images may fail where the other figures look small"
    )


def test_diffuse_attention_is_named():
    found, _ = only(majority(), [coloured_images(16, 0)])
    assert found.mean("divergence") < 2e-4 and found.mean("keys_used") > 0.99
    assert found.mean("output") > 20 * found.mean("divergence")
    (note,) = found.notes()
    assert note.startswith(f"{SITE}: the attention is diffuse (a query spreads over 100% of the keys)")


def test_nothing_is_said_of_a_constant_query_or_of_sharp_attention():
    found, _ = only(constant_query(), [coloured_images(8, 0)])
    assert found.notes() == [] and found.shares["query_between"] is None
    assert found.mean("attention") < 1e-12
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    insert(network, partial(NonLocal, std=2.0, init="random"), "0", torch.randn(1, 3, 12, 12))
    found, _ = only(network, [torch.randn(8, 3, 12, 12)])
    assert found.mean("divergence") > 0.1 and found.notes() == []


@pytest.mark.slow
def test_blocks_of_other_kinds_have_what_applies():
    torch.manual_seed(0)
    network, images = ToyNet(2, strides=(2, 2, 2)), torch.randn(3, 3, 32, 32)
    insert(network, GlobalContext, "stage1", images)
    insert(network, partial(CGNL, init="random"), "stage2", images)
    insert(network, partial(NonLocal, kind="dot", init="random"), "stage3", images)
    gc, cgnl, dot = survey(network, [images])[0]
    assert gc.shares["query_between"] is None and gc.mean("attention") < 1e-6 and gc.mean("output") is None
    assert gc.notes() == ["stage1.2: the block adds nothing to its input, so its output has no statistics"]
    assert cgnl.mean("attention") is None and cgnl.keys is None and cgnl.mean("output") > 0
    assert dot.mean("divergence") is None and dot.mean("keys_used") is None and dot.shares["query_between"] is not None


def test_images_of_several_sizes():
    torch.manual_seed(0)
    network = ToyNet(2, strides=(2, 2, 2))
    insert(network, partial(NonLocal, init="random"), "stage3", torch.randn(1, 3, 32, 32))
    found, (note,) = only(network, [torch.randn(1, 3, 32, 32), torch.randn(2, 3, 48, 32)])
    assert note == (
        "the images have grids of several sizes, so no weights of two images compare, and the attention has no share "
        "between images: stage3.2"
    )
    assert found.images == 3 and found.positions == 24
    assert found.shares["attention_between"] is None, "weights over grids of two sizes do not compare"
    assert found.shares["query_between"] is not None


def test_large_grids_are_sampled_and_named():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    insert(network, partial(NonLocal, init="random"), "0", torch.randn(1, 3, 8, 8))
    image = torch.randn(1, 3, 28, 28)
    found, notes = only(network, [image], seed=3)
    assert (found.positions, found.keys, found.queries) == (784, 784, 112)
    assert notes == [
        "attention, divergence, keys used and the share of the attention between images are estimated without bias "
        "from random queries (seed 3): 112 of 784 at 0"
    ]
    again, _ = only(network, [image], seed=3)
    other, _ = only(network, [image], seed=4)
    assert torch.equal(found.values["divergence"], again.values["divergence"])
    assert not torch.equal(found.values["divergence"], other.values["divergence"])


def test_clips_and_one_site():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU(), nn.Conv3d(4, 4, 1))
    clip = torch.randn(2, 3, 3, 6, 5)
    insert(network, partial(NonLocal, init="random", pool=2), ["0", "2"], clip)
    found, _ = only(network, [clip], site="2")
    assert (found.site, found.positions, found.keys) == ("2", 90, 3 * 3 * 2)


@pytest.mark.slow
def test_a_detector():
    torch.manual_seed(0)
    network = create_model("maskrcnn_tiny_nl1", num_classes=2)
    found, _ = only(network, [[torch.rand(3, 40, 60)], [torch.rand(3, 50, 40)]])
    assert (found.site, found.images) == ("backbone.body.layer3.0", 2)
    assert found.values["divergence"].isfinite().all()


def test_refusals_and_blocks_that_do_not_run():
    images = coloured_images(2, 0)
    with pytest.raises(ValueError, match="Conv2d has no wholeframe block to measure; insert one first"):
        survey(nn.Conv2d(3, 3, 1), [images])
    with pytest.raises(ValueError, match=r"there is no block at 'head'; there are blocks at stem"):
        survey(majority(), [images], site="head")
    with pytest.raises(ValueError, match="there is no input to measure the blocks on; give at least one"):
        survey(majority(), [])
    network = majority()
    network.extra = nn.Module()
    network.extra.wholeframe = GlobalContext(4)
    (found,), notes = survey(network, [images])
    assert found.site == SITE
    assert notes == ["these blocks do not run for these inputs and have no figures: extra"]
