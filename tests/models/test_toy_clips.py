"""The small residual network for clips: its sites are those of the papers, and a bare one sees no other frame."""

import pytest
import torch
from torch import nn

from wholeframe.models.build import ModelConfig, build
from wholeframe.models.toy_clips import COUNTS, TOY_CLIP_NETS, ToyClipNet

CLIP = torch.randn(2, 3, 4, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", TOY_CLIP_NETS)
def test_logits_at_every_position_of_clips_and_images(name):
    network = TOY_CLIP_NETS[name](5).eval()
    assert network(CLIP).shape == (2, 5, 4, 8, 8)
    image = network(CLIP[:, :, 0])
    assert image.shape == (2, 5, 8, 8)
    torch.testing.assert_close(image, network(CLIP[:, :, :1])[:, :, 0], rtol=0, atol=0)


def test_stages_have_the_sites_of_resnet_50():
    at = ("layer2.1", "layer2.3", "layer3.1", "layer3.3", "layer3.5")
    network = build(ModelConfig(backbone="small_c2d", block="nl", at=at), 2, CLIP[:1])
    assert COUNTS[1:3] == (4, 6) and all(hasattr(network.get_submodule(site), "wholeframe") for site in at)


@pytest.mark.parametrize(("name", "count"), [("plain1", 1), ("plain5", 5), ("plain10", 10)])
def test_the_control_has_as_many_blocks_more(name, count):
    more = [
        len(stage) for stage in TOY_CLIP_NETS[f"small_c2d_{name}"](2).children() if isinstance(stage, nn.Sequential)
    ]
    assert sum(more[:4]) == sum(COUNTS) + count and more[0] == COUNTS[0] and more[3] == COUNTS[3]


def influence(network):
    """Which frames and how many positions the logits of one position depend on."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.constant_(module.weight, 0.01)  # Positive, so that no ReLU blocks a path.
        if isinstance(module, nn.BatchNorm3d):
            nn.init.ones_(module.weight)
    clip = torch.ones(1, 3, 4, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(network.eval()(clip)[0, :, 0, 4, 4].sum(), clip)
    return gradient[0].abs().sum(dim=(0, 2, 3)) > 0


def test_only_temporal_kernels_see_other_frames():
    assert influence(ToyClipNet(2)).tolist() == [True, False, False, False]
    assert influence(ToyClipNet(2, "i3d")).all() and influence(ToyClipNet(2, "i3d333")).all()


def test_residual_blocks_start_as_identities():
    network = ToyClipNet(2).eval()
    before = network.layer1(torch.ones(1, 32, 4, 8, 8))
    torch.testing.assert_close(before, torch.ones(1, 32, 4, 8, 8), rtol=0, atol=0)
