"""Files of pytorchcv's iSQRT-COV ResNets: the names of the units, and the stride that no tensor shows."""

import pytest
import torch
from reference_nets import ISqrt, keep_last_stage, randomise, tiny_resnet
from torch import nn
from torchvision.models import resnet

from wholeframe import convert

IMAGE = (2, 3, 64, 64)


def pytorchcv_names(key: str) -> str:
    parts = key.split(".")
    fixed = {"conv1": "features.init_block.conv.conv", "bn1": "features.init_block.conv.bn", "fc": "output"}
    if parts[0] in fixed:
        return ".".join([fixed[parts[0]], *parts[1:]])
    if parts[0] == "avgpool":
        return ".".join(["features.final_block", {"0": "conv", "1": "bn"}[parts[1]], *parts[2:]])
    unit = f"features.stage{parts[0][5:]}.unit{int(parts[1]) + 1}"
    if parts[2] == "downsample":
        return ".".join([unit, "identity_conv", {"0": "conv", "1": "bn"}[parts[3]], *parts[4:]])
    return ".".join([unit, f"body.conv{parts[2][-1]}", parts[2][:-1], *parts[3:]])


def network(stride: str | None) -> nn.Module:
    if stride is None:
        made = resnet.ResNet(resnet.BasicBlock, [1, 2, 1, 1], num_classes=5)
        made.layer4[0].conv1.stride = made.layer4[0].downsample[0].stride = (1, 1)
    else:
        made = tiny_resnet((1, 2, 1, 1))
        keep_last_stage(made)
    if stride == "1x1":
        for stage in (made.layer2, made.layer3):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    width = made.fc.in_features
    made.avgpool = nn.Sequential(nn.Conv2d(width, 6, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), ISqrt(5, "upper"))
    made.fc = nn.Linear(21, 5)
    return randomise(made)


@pytest.mark.slow
@pytest.mark.parametrize("stride", ["1x1", "3x3", None])
def test_a_file_gives_the_same(stride, tmp_path):
    torch.manual_seed(0)
    theirs = network(stride)
    path = tmp_path / "isqrtcovresnet50.pth"
    torch.save({pytorchcv_names(key): tensor for key, tensor in theirs.state_dict().items()}, path)
    converted = convert.checkpoint(path, **({} if stride is None else {"stride": stride}))
    assert converted.source == "pytorchcv" and converted.report.left == converted.report.new == {}
    x = torch.randn(IMAGE, dtype=torch.float64)
    torch.testing.assert_close(converted.network(x), theirs(x), rtol=1e-9, atol=1e-9)
    if stride is not None:
        other = convert.checkpoint(path, stride={"1x1": "3x3", "3x3": "1x1"}[stride])
        assert (other.network(x) - theirs(x)).abs().max() > 1e-6
        with pytest.raises(ValueError, match=r"which convolution of a bottleneck halves the map; give stride='1x1'"):
            convert.checkpoint(path)
