"""A replacement is judged by what it changes on other images, and by nothing else."""

import copy
import math
import warnings
from functools import partial

import pytest
import torch
from planted_blocks import SITE, coloured_images, constant_query, images_with_a_cue, majority, query_per_image

import wholeframe as wf
from wholeframe.explain.collapse import collapse
from wholeframe.explain.dependence import dependence
from wholeframe.models.toy import ToyNet
from wholeframe.models.zoo import create_model
from wholeframe.surgery.placement import CHILD


def colours(network=None):
    """A network with a constant query, and images to choose the query and to check it."""
    return network or constant_query(), {"calibration": coloured_images(8, 0), "check": coloured_images(16, 1)}


def test_a_constant_query_is_replaced_exactly():
    network, images = colours()
    before = network(images["check"])
    found = collapse(network, SITE, **images)
    assert found.replaced and found.branch < 1e-14 and found.branch_99 < 1e-14 and found.predictions == 0
    assert isinstance(network.stem.wholeframe, wf.SimplifiedNonLocal)
    assert (network(images["check"]) - before).abs().max() < 1e-14 * before.abs().max()
    assert str(found).splitlines() == [
        "stem: replacing this block by its SNL changed the branch by 0.00% (99th percentile 0.00%) and 0.00% of "
        "predictions on 16 held-out images, saving 27,120 multiply-adds on a grid of 8 x 8 and saving 23 parameters",
        "the SNL is in its place, within the tolerance of 3.0%; no tolerance is known to be safe, so compare the score "
        "of your task before you keep it",
    ]


@pytest.mark.slow
def test_a_query_that_differs_between_images_is_rejected():
    """Every statistic within images is tiny, as published ones are that were read as query independence."""
    network, check = query_per_image(), images_with_a_cue(64, 1)
    block = network.stem.wholeframe
    inside = dependence(block, check)
    assert max(inside.output.max(), inside.attention.max(), inside.divergence.max()) < 1e-5
    state = copy.deepcopy(network.state_dict())
    with pytest.warns(UserWarning) as warned:
        found = collapse(network, SITE, calibration=images_with_a_cue(64, 0), check=check)
    assert not found.replaced and network.stem.wholeframe is block
    assert found.branch > 0.9 and found.within < 1e-3 and found.predictions > 0.3
    assert "the non-local block stays, because this is more than the tolerance of 3.0%" in str(found)
    assert [str(each.message) for each in warned] == found.notes()
    between, rest = found.notes()
    assert between.startswith(f"{SITE}: 100% of the variance of the query lies between images")
    assert rest == (
        f"{SITE}: within an image the outputs are 0.0% from their mean, and the rest of the {found.branch:.1%} is a "
        "query that differs between images"
    )
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(("preference", "replaced"), [(0.003, True), (0.02, False)])
def test_diffuse_attention_is_warned_about(preference, replaced):
    """Attention that is alike to 1e-4 moves the output by percents; a small tolerance is all that lets it pass."""
    network, images = colours(majority(preference))
    with pytest.warns(UserWarning, match=r"stem: the attention is diffuse .* judge this block by its output"):
        found = collapse(network, SITE, **images)
    assert found.statistics.mean("divergence") < 2e-4
    assert found.branch > 0.01 and found.replaced == replaced


def test_the_measure_is_the_definition():
    torch.manual_seed(0)
    network = ToyNet(5, strides=(2, 2, 1)).double().eval()
    images = torch.randn(30, 3, 24, 16, dtype=torch.float64)
    make = partial(wf.NonLocal, std=0.15, init="random", norm=None)
    wf.insert(network, make, "stage3", images[:1])
    inputs = []
    handle = network.stage3[-1].wholeframe.register_forward_pre_hook(lambda _block, args: inputs.append(args[0]))
    before = network(images)
    handle.remove()
    found = collapse(
        network, "stage3.2", calibration=images[:10].split(3), check=images[10:].split(7), tolerance=math.inf
    )
    theta = found.old.project(inputs[0][:10])[0].mean(dim=(0, 1))
    y = (found.old(inputs[0]) - inputs[0]).flatten(2).mT
    logits = found.old.project(inputs[0])[1] @ theta
    s = found.old.out(logits.softmax(dim=1)[:, None] @ found.old.project(inputs[0])[2]).expand_as(y)
    y, s = y[10:], s[10:]
    rms = y.square().sum(dim=2).mean().sqrt()
    assert found.branch == pytest.approx(((s - y).square().sum(dim=2).mean().sqrt() / rms).item(), rel=1e-9)
    gaps = ((s - y).norm(dim=2) / rms).flatten()
    assert found.branch_99 == pytest.approx(gaps.quantile(0.99, interpolation="higher").item(), rel=1e-2)
    assert (gaps <= found.branch_99 * (1 + 1e-9)).double().mean() >= 0.99
    scatter = (y - y.mean(dim=1, keepdim=True)).square().sum(dim=2).mean().sqrt()
    assert found.within == pytest.approx((scatter / rms).item(), rel=1e-9)
    flips = network(images[10:]).argmax(dim=1) != before[10:].argmax(dim=1)
    assert found.replaced and found.predictions == flips.double().mean().item() and found.images == 20
    assert found.grid == (6, 4)
    assert found.multiply_adds == found.old.multiply_adds((6, 4)) - found.new.multiply_adds((6, 4))


@pytest.mark.slow
def test_the_record_saves_and_restores_the_new_block(tmp_path):
    network, images = colours()
    collapse(network, SITE, **images)
    (placement,) = wf.blocks_of(network)
    assert (placement.block, placement.attached) == ("SimplifiedNonLocal", True)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    fresh = copy.deepcopy(network)
    wf.remove(fresh)
    wf.restore(fresh, tmp_path / "weights.pt")
    assert torch.equal(fresh(images["check"]), network(images["check"]))
    wf.verify(network, images["check"])
    baked = wf.bake(network)
    assert torch.equal(baked(images["check"]), network(images["check"]))


def test_a_baked_network():
    network, images = colours()
    baked = wf.bake(network)
    found = collapse(baked, SITE, **images)
    assert found.replaced and isinstance(baked.stem.wholeframe, wf.SimplifiedNonLocal)
    assert wf.blocks_of(baked)[0].block == "SimplifiedNonLocal"


def test_the_old_block_can_be_put_back():
    network, images = colours()
    old, keys = network.stem.wholeframe, list(network.state_dict())
    before = network(images["check"])
    found = collapse(network, SITE, **images)
    network.float().train()
    found.put_back()
    assert network.stem.wholeframe is old and old.training and old.g.weight.dtype == torch.float32
    network.double().eval()
    assert list(network.state_dict()) == keys and wf.blocks_of(network)[0].block == "NonLocal"
    torch.testing.assert_close(network(images["check"]), before, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="the simplified block is not at 'stem', so there is nothing to put back"):
        found.put_back()


def test_modes_and_hooks_stay():
    network, images = colours()
    network.train()
    network.head.eval()
    found = collapse(network, SITE, **images)
    assert found.replaced and network.training and not network.head.training and network.stem.wholeframe.training
    assert not found.old._forward_pre_hooks and not found.new._forward_pre_hooks


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("overlap", ["the same tensor", "one image in common", "the same values elsewhere"])
def test_images_that_chose_the_query_do_not_check_it(overlap):
    network, images = colours()
    calibration, check = images["calibration"], images["check"]
    check = {
        "the same tensor": calibration,
        "one image in common": torch.cat([check, calibration[3:4]]),
        "the same values elsewhere": calibration.flip(0).clone().float(),
    }[overlap]
    if overlap == "the same values elsewhere":
        network, calibration = network.float(), calibration.float()
    block = network.stem.wholeframe
    with pytest.raises(ValueError, match=r"image \d+ of check= is also in calibration=, where it has chosen the query"):
        collapse(network, SITE, calibration=calibration, check=check)
    assert network.stem.wholeframe is block


def test_a_failure_leaves_the_model_as_it_was():
    network, images = colours()
    block, hooks = network.stem.wholeframe, len(network.stem.wholeframe._forward_pre_hooks)

    def decide(output):
        raise RuntimeError("a mistake of the caller")

    with pytest.raises(RuntimeError, match="a mistake"):
        collapse(network, SITE, **images, decide=decide)
    assert network.stem.wholeframe is block and len(block._forward_pre_hooks) == hooks


def test_changed_predictions_alone_keep_the_block():
    """The head multiplies a change of the branch that is within the tolerance."""
    network, images = colours(majority(0.003))
    with pytest.warns(UserWarning):
        found = collapse(network, SITE, **images, decide=lambda output: output)
    assert found.branch < 0.03 and found.predictions > 0.9 and not found.replaced


def test_an_infinite_tolerance_replaces_whatever_changes():
    network = query_per_image()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collapse(
            network,
            SITE,
            calibration=images_with_a_cue(8, 0),
            check=images_with_a_cue(8, 1),
            tolerance=math.inf,
        )
    assert found.replaced and found.branch > 0.5


@pytest.mark.slow
def test_detectors():
    torch.manual_seed(0)
    network = create_model("maskrcnn_tiny_nl1", num_classes=2).eval()
    site = "backbone.body.layer3.0"
    block = network.get_submodule(f"{site}.{CHILD}")
    with torch.no_grad():
        block.theta.weight.zero_()
        torch.nn.init.ones_(block.norm.weight)
    one, other = [torch.rand(3, 40, 60)], [torch.rand(3, 50, 40)]
    found = collapse(network, site, calibration=[one], check=[other])
    assert found.branch < 1e-4 and found.predictions == 0 and found.replaced
    found.put_back()
    network.roi_heads.score_thresh = 1.0
    found = collapse(network, site, calibration=[one], check=[other])
    assert math.isnan(found.predictions) and not found.replaced
    assert "the non-local block stays, because no prediction shows what the change does" in str(found)


@pytest.mark.slow
def test_refusals():
    network, images = colours()
    with pytest.raises(ValueError, match="there is no block at 'head'; there are blocks at 'stem'"):
        collapse(network, "head", **images)
    with pytest.raises(ValueError, match="there is no block at 'stage3'; the model has no block"):
        collapse(ToyNet(2, strides=(1, 1, 1)), "stage3", **images)
    with pytest.raises(ValueError, match="calibration= has no image; give some that are not in the other set"):
        collapse(network, SITE, calibration=[], check=images["check"])
    with pytest.raises(ValueError, match="check= has no image"):
        collapse(network, SITE, calibration=images["calibration"], check=[])
    with pytest.raises(ValueError, match="check= is None; give a tensor of images"):
        collapse(network, SITE, calibration=images["calibration"], check=None)
    with pytest.raises(ValueError, match=r"give calibration=\(images for images, _ in loader\)"):
        loader = [[images["calibration"], torch.zeros(8)]]
        collapse(network, SITE, calibration=loader, check=images["check"])
    with pytest.raises(ValueError, match="tolerance=-1 is not a share of change: give 0 or more"):
        collapse(network, SITE, **images, tolerance=-1)
    with torch.no_grad():
        network.stem.wholeframe.out.weight.zero_()
    with pytest.raises(ValueError, match="adds nothing to its input on the images of check=, so there is nothing to"):
        collapse(network, SITE, **images)
    with torch.no_grad():
        network.stem.wholeframe.out.weight.fill_(math.nan)
    with pytest.raises(ValueError, match="gives numbers that are not finite"):
        collapse(network, SITE, **images)
