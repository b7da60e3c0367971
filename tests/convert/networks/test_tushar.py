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
    with pytest.raises(
        ValueError, match=r"is a ResNet \(.*torchvision.models.resnet50\(\), load the weights with load_"
    ):
        convert.checkpoint(tmp_path / "resnet.pth")
    with pytest.raises(ValueError, match=r"pytorch-resnet3d: 'conv1.weight' has 4 axes, and 5 in such a file"):
        convert.checkpoint(tmp_path / "resnet.pth", "pytorch-resnet3d")


def test_norms_that_were_frozen_for_fine_tuning(tmp_path):
    state = Network(Layout(name), CAFFE2_ORG).state()
    norms = {key.removesuffix("running_var") for key in state if key.endswith("running_var")}
    frozen = {key: key.replace(".weight", ".scale") if key.removesuffix("weight") in norms else key for key in state}
    assert sum(key.endswith(".scale") for key in frozen.values()) == len(norms) > 20
    torch.save({frozen[key]: tensor for key, tensor in state.items()}, tmp_path / "frozen.pth")
    found = convert.checkpoint(tmp_path / "frozen.pth")
    own = found.network.state_dict()
    assert found.report.loaded.keys() == {key for key in own if "num_batches" not in key} and not found.report.left
    assert torch.equal(own["bn1.weight"], state["bn1.weight"])
    assert torch.equal(own["layer2.1.wholeframe.norm.weight"], state["layer2.1.nl.bn.weight"])
