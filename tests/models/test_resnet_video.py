"""The ResNet for clips: strides and pools of each reference, temporal kernels, and windows of a larger map."""

import pytest
import torch
import torchvision
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from wholeframe.models.resnet_video import VideoResNet
from wholeframe.models.video_conventions import VIDEO_CONVENTIONS


def grids(network, *clip):
    """The grid after pool1, pool2 and each stage."""
    seen = {}
    for name in ("pool1", "pool2", "layer2", "layer3", "layer4"):
        network.get_submodule(name).register_forward_hook(
            lambda _module, _args, y, name=name: seen.__setitem__(name, tuple(y.shape[2:]))
        )
    network(torch.empty(1, 3, *clip))
    return list(seen.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("convention", "frames", "pool1", "pool2"),
    [
        ("paper", 32, (8, 56, 56), (4, 56, 56)),
        ("caffe2_org", 32, (8, 55, 55), (4, 55, 55)),
        ("caffe2_org", 128, (32, 55, 55), (16, 55, 55)),
        ("caffe2", 8, (8, 55, 55), (4, 55, 55)),
        ("slowfast", 8, (8, 56, 56), (4, 56, 56)),
        ("mmaction2", 32, (8, 56, 56), (4, 56, 56)),
        ("nopool", 8, (8, 56, 56), (8, 56, 56)),
    ],
)
def test_grids_of_the_references(convention, frames, pool1, pool2):
    with FakeTensorMode():
        found = grids(VideoResNet.like(convention, "c2d", 50), frames, 224, 224)
    assert found == [pool1, pool2, *((pool2[0], side, side) for side in (28, 14, 7))]


def temporal(network, name):
    """Frames in the kernel of this convolution of every block, by stage."""
    stages = (network.layer1, network.layer2, network.layer3, network.layer4)
    return ["".join(str(block.get_submodule(name).kernel_size[0]) for block in stage) for stage in stages]


@pytest.mark.slow
def test_flags_of_i3d():
    with FakeTensorMode():
        i3d, deep, cube = (VideoResNet.like("caffe2", *name) for name in [("i3d", 50), ("i3d", 101), ("i3d333", 50)])
        slow, flat = (VideoResNet.like("nopool", name, 50) for name in ("slowonly", "c2d"))
    assert temporal(i3d, "conv1") == ["333", "3131", "313131", "131"]
    assert temporal(deep, "conv1") == ["333", "3131", "31313131313131313131313", "131"]
    assert temporal(cube, "conv2") == ["333", "3131", "313131", "131"]
    assert temporal(slow, "conv1") == ["111", "1111", "333333", "333"]
    assert (
        temporal(i3d, "conv2") == temporal(cube, "conv1") == temporal(flat, "conv1") == ["111", "1111", "111111", "111"]
    )
    assert [network.conv1.kernel_size[0] for network in (i3d, deep, cube, slow, flat)] == [5, 5, 5, 1, 1]


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("depth", [18, 50])
def test_names_are_those_of_torchvision(depth):
    with FakeTensorMode():
        ours, theirs = VideoResNet.like("paper", "c2d", depth), torchvision.models.get_model(f"resnet{depth}")
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_stride_in_the_first_1x1():
    with FakeTensorMode():
        usual, caffe = (VideoResNet.like("paper", "c2d", 50, stride=stride) for stride in ("3x3", "1x1"))
    assert (usual.layer2[0].conv1.stride, usual.layer2[0].conv2.stride) == ((1, 1, 1), (1, 2, 2))
    assert (caffe.layer2[0].conv1.stride, caffe.layer2[0].conv2.stride) == ((1, 2, 2), (1, 1, 1))


def test_c2d_without_pools_keeps_frames_apart():
    """Only the pools and the head of C2D mix frames."""
    network = VideoResNet.like("nopool", "c2d", 18).eval()
    clip = torch.randn(1, 3, 4, 32, 32)
    other = clip.clone()
    other[:, :, 2] = torch.randn(3, 32, 32)
    with torch.no_grad():
        same = torch.isclose(network.features(clip), network.features(other), atol=1e-5).all(dim=1).flatten()
    assert same.tolist() == [True, True, False, True]


def test_windows_of_a_larger_map():
    network = VideoResNet.like("slowfast", "c2d", 18, 5).eval()
    clip = torch.randn(2, 3, 4, 96, 64)  # a map of 3 x 2
    with torch.no_grad():
        features, windows = network.features(clip), network.windows(clip, side=2)
        assert features.shape[2:] == (2, 3, 2)
        assert windows.shape == (2, 5, 2, 1)
        for y in (0, 1):
            expected = network.fc(features[:, :, :, y : y + 2, 0:2].mean(dim=(2, 3, 4)))
            torch.testing.assert_close(windows[:, :, y, 0], expected)
        assert not torch.allclose(windows[:, :, 0], windows[:, :, 1], atol=1e-4)
        # A map no larger than a window is one window, whose logits are those of the network.
        torch.testing.assert_close(network.windows(clip)[:, :, 0, 0], network(clip))


def test_dropout_before_the_classifier():
    network = VideoResNet.like("slowfast", "c2d", 18, 5).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.eval()
    clip = torch.randn(1, 3, 4, 32, 32)
    assert not torch.equal(network(clip), network(clip))
    assert not torch.equal(network.windows(clip), network.windows(clip))


def test_gradients_reach_everything():
    network = VideoResNet.like("paper", "i3d333", 18, 5)
    network(torch.randn(2, 3, 8, 64, 64)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


def test_options_and_clips_that_are_refused():
    flat = VIDEO_CONVENTIONS["paper"] | {"conv1_time": 1, "inflated": ((0,),) * 4}
    with pytest.raises(ValueError, match="depth=20"):
        VideoResNet(20, **flat)
    with pytest.raises(ValueError, match="a pattern for each of four stages"):
        VideoResNet(18, **flat | {"inflated": ((0,),) * 3})
    with pytest.raises(ValueError, match="inflation='3x1x1' has no meaning in ResNet-18"):
        VideoResNet.like("paper", "i3d", 34)
    with pytest.raises(ValueError, match="stride='1x1' has no meaning in ResNet-18"):
        VideoResNet.like("paper", "c2d", 18, stride="1x1")
    with pytest.raises(ValueError, match="inflation='two 3x3x3' has no meaning in a bottleneck"):
        VideoResNet.like("paper", "i3d", 50, inflation="two 3x3x3")
    with pytest.raises(ValueError, match="last_dilation=2 is for bottlenecks"):
        VideoResNet.like("paper", "c2d", 18, last_dilation=2)
    with pytest.raises(ValueError, match="last_stride=4 is not one of 1, 2"):
        VideoResNet.like("paper", "c2d", 18, last_stride=4)
    with pytest.raises(ValueError, match=r"architecture='i3D'.*i3d"):
        VideoResNet.like("paper", "i3D", 50)
    with pytest.raises(ValueError, match="VideoResNet has no argument 'strid'; did you mean 'stride'"):
        VideoResNet.like("paper", "c2d", 18, strid="1x1")
    network = VideoResNet.like("paper", "c2d", 18)
    with pytest.raises(ValueError, match=r"has \(3, 8, 64, 64\); give clip\[None\]"):
        network(torch.zeros(3, 8, 64, 64))
    with pytest.raises(ValueError, match=r"clip.transpose\(1, 2\)"):
        network(torch.zeros(1, 8, 3, 64, 64))
