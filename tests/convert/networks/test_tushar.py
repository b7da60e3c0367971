"""Tushar-N's port: torchvision's names with kernels over time."""

import pytest
import torch
from video_layouts import CAFFE2_ORG, Layout, Network

from wholeframe import convert


def name(part, stage=None, index=None, n=None):
    if part in ("conv1", "bn1", "fc"):
        return part
    inside = f"layer{stage - 1}.{index}."
    if part in ("conv", "bn"):
        return f"{inside}{part}{n}"
    if part.startswith("shortcut"):
        return f"{inside}downsample.{int(part.endswith('bn'))}"
    return f"{inside}nl.{'bn' if part == 'nl_bn' else part}"


@pytest.mark.parametrize("blocks", [((3, 1), (3, 3), (4, 1)), ()])
@pytest.mark.slow
def test_a_network_with_and_without_blocks(converted, blocks):
    network = Network(Layout(name), CAFFE2_ORG, depth=50, blocks=blocks)
    state = network.state()
    found = converted(
        network, state, {f"module.{key}": tensor for key, tensor in state.items()}, clip=(1, 3, 16, 40, 40)
    )
    assert found.source == "pytorch-resnet3d"
    assert set(found.blocks) == {f"layer{stage - 1}.{index}" for stage, index in blocks}


def test_a_network_for_images_is_refused(tmp_path):
    torch.save(
        {"conv1.weight": torch.zeros(4, 3, 7, 7), "layer1.0.conv1.weight": torch.zeros(1), "fc.weight": torch.zeros(1)},
        tmp_path / "resnet.pth",
    )
    with pytest.raises(ValueError, match=r"network for images; inflate a network for images by `wf.inflate`"):
        convert.checkpoint(tmp_path / "resnet.pth")
