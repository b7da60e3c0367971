"""Files of CGNL's repository: the block's kernel, the numbers of the residual blocks, and the detectors."""

import pytest
import torch
from reference_nets import CGNLBlock, NLBlock, attached, randomise, tiny_resnet
from torch import nn
from torchvision.ops import misc

from wholeframe import convert
from wholeframe.blocks import CGNL, NonLocal

IMAGE = (2, 3, 64, 64)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def network(block: nn.Module, before: int = 1, stage: str = "layer3") -> nn.Module:
    """A ResNet with the block before this residual block of the stage."""
    made = tiny_resnet()
    residuals = list(made.get_submodule(stage))
    made.add_module(stage, nn.Sequential(*residuals[:before], block, *residuals[before:]))
    return randomise(made)


def file_of(made: nn.Module, folder) -> str:
    path = folder / "model_best.pth.tar"
    torch.save({"epoch": 3, "state_dict": attached(made.state_dict(), "module."), "best_prec1": 77.7}, path)
    return path


BLOCKS = {
    "dot": (lambda: CGNLBlock(1024, 64, 8), {"kernel": "dot"}),
    "dot, one group": (lambda: CGNLBlock(1024, 64, 1), {"kernel": "dot"}),
    "dot, scaled": (lambda: CGNLBlock(1024, 64, 4, use_scale=True), {"kernel": "dot", "use_scale": True}),
    "series of order 3": (lambda: CGNLBlock(1024, 64, 8, order=3), {"kernel": "taylor", "order": 3}),
    "series of order 1": (lambda: CGNLBlock(1024, 32, 2, order=1), {"kernel": "taylor", "order": 1}),
    "NL": (lambda: NLBlock(1024, 64), {}),
}


SLOW = set(BLOCKS) - {"dot"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in BLOCKS])
def test_a_classifier_gives_the_same(name, tmp_path):
    make, options = BLOCKS[name]
    theirs = network(make())
    with torch.no_grad():
        theirs.layer3[1].t.weight.mul_(40)  # so that the higher orders of the series count
    converted = convert.checkpoint(file_of(theirs, tmp_path), **options)
    block = converted.blocks["layer3.0"]
    assert isinstance(block, NonLocal if name == "NL" else CGNL)
    assert converted.report.left == converted.report.new == {}
    assert converted.report.loaded["layer3.1.conv1.weight"] == "layer3.2.conv1.weight"
    x = torch.randn(IMAGE, dtype=torch.float64)
    expected = theirs(x)
    torch.testing.assert_close(converted.network(x), expected, rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        block.out.weight.neg_()
    assert (converted.network(x) - expected).abs().max() > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "stage", "site"), [(0, "layer3", "layer2.0"), (2, "layer3", "layer3.1"), (0, "layer1", "maxpool")]
)
def test_a_block_at_another_place_keeps_it(before, stage, site, tmp_path):
    width = {"layer3.1": 1024, "layer2.0": 512, "maxpool": 64}[site]
    theirs = network(CGNLBlock(width, 16, 4), before, stage)
    converted = convert.checkpoint(file_of(theirs, tmp_path), kernel="dot")
    assert list(converted.blocks) == [site]
    x = torch.randn(IMAGE, dtype=torch.float64)
    torch.testing.assert_close(converted.network(x), theirs(x), rtol=1e-9, atol=1e-9)


def test_a_file_of_another_program_is_taken_apart_and_a_lack_is_named_as_there(tmp_path):
    state = network(CGNLBlock(1024, 8, 4)).state_dict()
    path = tmp_path / "lightning.ckpt"
    wrapped = attached(state, "model.backbone.") | {"criterion.weight": torch.ones(5)}
    torch.save({"state_dict": wrapped, "epoch": 1}, path)
    assert set(convert.checkpoint(path, kernel="dot").report.left) == {"criterion.weight"}
    torch.save({key: tensor for key, tensor in state.items() if key != "layer3.1.gn.bias"}, path)
    with pytest.raises(ValueError, match=r"such a network: 'layer3.1.gn.bias' or 'layer3.1.bn.bias', which is"):
        convert.checkpoint(path, kernel="dot")
    torch.save(state | {"head.bias": torch.zeros(1)}, path)
    with pytest.raises(
        ValueError, match=r"lightning.ckpt' has 1 tensor that such a network does not have: 'head.bias'; give"
    ):
        convert.checkpoint(path, kernel="dot")


def test_what_the_file_does_not_show_is_asked_for(tmp_path):
    path = file_of(network(CGNLBlock(1024, 16, 4)), tmp_path)
    with pytest.raises(
        ValueError, match=r"does not show which kernel its block at 'layer3.1' has.*kernel='dot' for cgnl"
    ):
        convert.checkpoint(path)
    with pytest.raises(ValueError, match=r"order of the series at 'layer3.1'; give order=3"):
        convert.checkpoint(path, kernel="taylor")
    with pytest.raises(ValueError, match=r"order=3 does not apply to kernel='dot'"):
        convert.checkpoint(path, kernel="dot", order=3)
    with pytest.raises(ValueError, match=r"kernel='gauss' is not one of"):
        convert.checkpoint(path, kernel="gauss")
    text = str(convert.checkpoint(path, kernel="taylor", order=2).report)
    assert "the CGNL at layer3.0: kernel='taylor', scale=None, order=2" in text


def test_a_kernel_of_an_nl_is_refused(tmp_path):
    theirs = tiny_resnet()
    theirs.layer3 = nn.Sequential(theirs.layer3[0], NLBlock(1024, 8), theirs.layer3[1])
    with pytest.raises(ValueError, match=r"kernel='dot', order=3 does not apply to this file, whose block is an NL"):
        convert.checkpoint(file_of(theirs, tmp_path), kernel="dot", order=3)


def test_two_blocks_in_a_row_are_refused(tmp_path):
    theirs = tiny_resnet()
    theirs.layer3 = nn.Sequential(theirs.layer3[0], CGNLBlock(1024, 8, 2), CGNLBlock(1024, 8, 2), theirs.layer3[1])
    with pytest.raises(ValueError, match=r"two blocks in a row at 'layer3.2'"):
        convert.checkpoint(file_of(theirs, tmp_path), kernel="dot")


@pytest.mark.slow
def test_a_detector_gives_the_features_of_its_backbone(tmp_path):
    """The frozen norms of maskrcnn-benchmark divide by the root of the variance without an epsilon."""
    theirs = tiny_resnet(norm_layer=lambda width: misc.FrozenBatchNorm2d(width, eps=0.0))
    for stage in (theirs.layer2, theirs.layer3, theirs.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    theirs.layer3 = nn.Sequential(theirs.layer3[0], CGNLBlock(1024, 16, 8), theirs.layer3[1])
    randomise(theirs).fc = nn.Identity()
    body = {key: tensor for key, tensor in theirs.state_dict().items() if not key.startswith(("layer4.", "fc."))}
    state = {f"backbone.body.{'stem.' if key[:3] in ('con', 'bn1') else ''}{key}": t for key, t in body.items()}
    state |= attached(theirs.layer4.state_dict(), "roi_heads.box.feature_extractor.head.layer4.")
    state |= {"rpn.head.conv.weight": torch.zeros(2, 2), "roi_heads.box.predictor.cls_score.weight": torch.zeros(2, 2)}
    path = tmp_path / "model_final.pth"
    torch.save({"model": attached(state, "module."), "iteration": 9}, path)
    converted = convert.checkpoint(path, kernel="dot")
    assert set(converted.report.left) == {"rpn.head.conv.weight", "roi_heads.box.predictor.cls_score.weight"}
    x = torch.randn(IMAGE, dtype=torch.float64)
    torch.testing.assert_close(converted.network(x), theirs(x), rtol=1e-9, atol=1e-9)
    other = convert.checkpoint(path, kernel="dot", stride="3x3").network(x)
    assert (other - theirs(x)).abs().max() > 1e-6


@pytest.mark.slow
def test_a_detector_without_the_last_stage_ends_before_it(tmp_path):
    theirs = network(CGNLBlock(1024, 16, 8))
    kept = ("conv1", "bn1", "layer1", "layer2", "layer3")
    state = {f"backbone.body.{k}": t for k, t in theirs.state_dict().items() if k.startswith(kept)}
    path = tmp_path / "model.pth"
    torch.save({"model": state}, path)
    converted = convert.checkpoint(path, kernel="dot", stride="3x3")
    assert isinstance(converted.network.layer4, nn.Identity)
    assert converted.network(torch.randn(IMAGE, dtype=torch.float64)).shape == (2, 1024)
