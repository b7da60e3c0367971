"""2-D weights in a 3-D network: on a clip of one repeated frame the two compute the same."""

from copy import deepcopy
from functools import cache

import pytest
import torch
import torchvision
from rounding import bound
from torch import nn

import wholeframe as wf
from wholeframe.models.inflate import inflate
from wholeframe.models.resnet_video import VideoResNet

pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def as_trained(network):
    """Statistics and gains that differ from the initial ones, so that a norm that was not copied shows."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
    return network.eval()


@cache
def parent(depth):
    torch.manual_seed(depth)
    return as_trained(torchvision.models.get_model(f"resnet{depth}", num_classes=7))


def maps(network, image):
    """The map over which torchvision's ResNet averages."""
    layers = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    for name in layers:
        image = getattr(network, name)(image)
    return image


def still(image, frames):
    return image[:, :, None].expand(-1, -1, frames, -1, -1)


def close(a, b):
    """To the rounding of a sum over the channels and kernels of the widest layer."""
    return bool((a - b).abs().max() <= bound(512 * 27, float(b.abs().max())))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("convention", ["slowfast", "mmaction2", "nopool"])
def test_c2d_on_a_still_clip_is_its_parent(convention):
    image, child = torch.randn(1, 3, 64, 64), VideoResNet.like(convention, "c2d", 18, 7).eval()
    inflate(child, parent(18).state_dict())
    with torch.no_grad():
        assert close(child(still(image, 8)), parent(18)(image))


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "depth"), [("i3d", 50), ("i3d333", 18)])
def test_i3d_on_a_still_clip_is_its_parent_away_from_the_border(backbone, depth):
    """Zero padding reaches two frames through conv1, and one more through every inflated block."""
    child, below = VideoResNet.like("slowfast", backbone, depth, 7).eval(), parent(depth)
    blocks = [block for stage in (child.layer2, child.layer3, child.layer4) for block in stage]
    before = 2 + len(child.layer1)
    after = sum(max(block.conv1.kernel_size[0], block.conv2.kernel_size[0]) == 3 for block in blocks)
    border = (before + 1) // 2 + after  # pool2 halves the reach of conv1 and layer1
    image, frames = torch.randn(1, 3, 32, 32), 4 * border + 4
    inflate(child, below.state_dict())
    with torch.no_grad():
        features, expected = child.features(still(image, frames)), maps(below, image)
    assert features.shape[2] == 2 * border + 2
    assert all(close(features[:, :, t], expected) for t in range(border, border + 2))
    assert not close(features[:, :, 0], expected)
    assert not close(features[:, :, -1], expected)


@pytest.mark.slow
def test_a_block_of_the_parent_is_inflated():
    """A non-local block over eight copies of a frame gives the same average as over one."""

    def random_block(channels):
        return wf.NonLocal(channels, std=None, init="random")

    image, below, child = (
        torch.randn(1, 3, 64, 64),
        deepcopy(parent(18)),
        VideoResNet.like("slowfast", "c2d", 18, 7).eval(),
    )
    wf.insert(below, random_block, "layer3.0", image)
    wf.insert(child, random_block, "layer3.0", still(image, 8))
    as_trained(below)
    report = inflate(child, below.state_dict())
    assert report.fresh == ()
    with torch.no_grad():
        assert close(child(still(image, 8)), below(image))
        wf.remove(below)
        assert not close(child(still(image, 8)), below(image))


@pytest.mark.slow
def test_tensors_that_are_not_loaded_are_named():
    child = VideoResNet.like("slowfast", "i3d333", 18, 5)
    wf.insert(child, wf.GlobalContext, "layer3.0", torch.randn(1, 3, 4, 32, 32))
    before = {key: tensor.clone() for key, tensor in child.state_dict().items()}
    report = inflate(child, parent(18).state_dict())
    assert report.fresh == tuple(key for key in before if "wholeframe" in key or key.startswith("fc."))
    assert all(torch.equal(child.state_dict()[key], before[key]) for key in report.fresh)
    assert report.repeated[:2] == ("conv1.weight", "layer1.0.conv1.weight")
    assert len(report.repeated) == 1 + 2 + 1 + 1 + 1
    assert {*report.repeated, *report.copied, *report.fresh} == before.keys()
    assert str(report).startswith("6 kernels repeated over time, 114 tensors copied, ")
    assert "'fc.weight', 'fc.bias'" in str(report)


def test_other_networks_are_refused():
    child = VideoResNet.like("slowfast", "c2d", 18)
    before = {key: tensor.clone() for key, tensor in child.state_dict().items()}
    deeper = {f"layer1.2.{key}": tensor for key, tensor in parent(18).layer1[1].state_dict().items()}
    with pytest.raises(ValueError, match=r"the network has no 'layer1.2.bn1.bias', .* \(0 missing, 12 unknown\)"):
        inflate(child, parent(18).state_dict() | deeper)
    with pytest.raises(ValueError, match=r"the parent lacks 'bn1\.bias'"):
        inflate(child, {key: tensor for key, tensor in parent(18).state_dict().items() if key != "bn1.bias"})
    with pytest.raises(ValueError, match=r"'conv1.weight' has shape \(64, 1, 7, 7\)"):
        inflate(child, parent(18).state_dict() | {"conv1.weight": torch.zeros(64, 1, 7, 7)})
    assert all(torch.equal(child.state_dict()[key], before[key]) for key in before)
