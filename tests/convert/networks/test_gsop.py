"""Files of GSoP's repository: which gates a residual block has, how they are fused, and the head of GSoP-Net2."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from reference_nets import ISqrt, attached, keep_last_stage, randomise, relu_covariance, tiny_resnet
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from wholeframe import convert
from wholeframe.blocks import GSoP, GSoPChannel, GSoPPosition

GOLDENS = Path(__file__).parents[2] / "goldens" / "gsop"


class Gated(Bottleneck):
    """A residual block with the gates of the reference, written from the formulas of its paper and its code."""

    def __init__(self, old: Bottleneck, attention: str, inner: int, side: int):
        nn.Module.__init__(self)
        for name, module in {"downsample": None, **dict(old.named_children())}.items():
            self.add_module(name, module)
        channels, self.attention, self.side = old.conv3.out_channels, attention, side
        self.step = 2 if channels == 256 else 1
        if attention != "2":
            self.conv_for_DR, self.bn_for_DR = nn.Conv2d(channels, inner, 1, self.step), nn.BatchNorm2d(inner)
            self.row_bn = nn.BatchNorm2d(inner)
            self.row_conv_group = nn.Conv2d(inner, 4 * inner, (inner, 1), groups=inner)
            self.fc_adapt_channels = nn.Conv2d(4 * inner, channels, 1)
        if attention != "1":
            cells = side * side
            self.conv_for_DR_spatial, self.bn_for_DR_spatial = nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner)
            self.row_bn_for_spatial = nn.BatchNorm2d(cells)
            self.row_conv_group_for_spatial = nn.Conv2d(cells, 4 * cells, (cells, 1), groups=cells)
            self.fc_adapt_channels_for_spatial = nn.Conv2d(4 * cells, cells, 1)
        if attention == "&":
            for name in ("dilate_conv_for_concat1", "dilate_conv_for_concat2"):
                self.add_module(
                    name, nn.Conv2d(channels, channels, (7, 1), padding=(3, 0), groups=max(channels // 64, 1))
                )
            self.bn_for_concat = nn.BatchNorm2d(channels)

    def by_channel(self, u: Tensor) -> Tensor:
        s = relu_covariance(self.bn_for_DR(self.conv_for_DR(F.relu(u))))
        return u * self.fc_adapt_channels(self.row_conv_group(self.row_bn(s[..., None]))).sigmoid()

    def by_position(self, u: Tensor) -> Tensor:
        v = F.adaptive_avg_pool2d(self.bn_for_DR_spatial(self.conv_for_DR_spatial(F.relu(u))), self.side).flatten(2)
        inner, cells = v.shape[1:]
        centring = torch.eye(inner, dtype=v.dtype) / cells - 1 / cells**2
        s = v.mT @ centring @ v
        rows = F.relu(self.row_conv_group_for_spatial(self.row_bn_for_spatial(s[..., None])))
        gate = self.fc_adapt_channels_for_spatial(rows).sigmoid().view(len(u), 1, self.side, self.side)
        return F.relu(u * F.adaptive_avg_pool2d(gate, u.shape[2:]))

    def forward(self, x: Tensor) -> Tensor:
        u = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        u = self.bn3(self.conv3(u))
        residual = x if self.downsample is None else self.downsample(x)
        if self.attention == "1":
            u = self.by_channel(u)
        elif self.attention == "2":
            u = self.by_position(u)
        elif self.attention == "+":
            u = self.by_channel(u) + self.by_position(u)
        elif self.attention == "M":
            u = torch.maximum(self.by_channel(u), self.by_position(u))
        else:
            one, two = (
                self.dilate_conv_for_concat1(self.by_channel(u)),
                self.dilate_conv_for_concat2(self.by_position(u)),
            )
            u = self.bn_for_concat(one + two)
        return F.relu(u + residual)


def network(attention: str, stages: tuple[int, ...] = (1, 2, 3), inner: int = 6, side: int = 4) -> nn.Module:
    """A ResNet whose stages end with these gates."""
    made = tiny_resnet((1, 2, 1, 1))
    keep_last_stage(made)
    for stage in stages:
        residuals = made.get_submodule(f"layer{stage}")
        residuals[-1] = Gated(residuals[-1], attention, inner, side)
    return randomise(made)


def saved(made: nn.Module, folder: Path) -> Path:
    path = folder / "checkpoint.pth.tar"
    torch.save({"arch": "resnet50", "state_dict": attached(made.state_dict(), "module."), "epoch": 1}, path)
    return path


def same(converted: convert.Converted, theirs: nn.Module) -> bool:
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    return torch.allclose(converted.network(x), theirs(x), rtol=1e-9, atol=1e-9)


CASES = {
    "1": ({}, GSoPChannel),
    "2": ({}, GSoPPosition),
    "+": ({"fusion": "sum"}, GSoP),
    "M": ({"fusion": "max"}, GSoP),
    "&": ({}, GSoP),
}


@pytest.mark.parametrize("attention", [pytest.param(a, marks=[pytest.mark.slow] * (a != "1")) for a in CASES])
def test_gsop_net_1_gives_the_same(attention, tmp_path):
    torch.manual_seed(0)
    options, kind = CASES[attention]
    theirs = network(attention)
    converted = convert.checkpoint(saved(theirs, tmp_path), **options)
    assert {site: type(block) for site, block in converted.blocks.items()} == {
        "layer1.0.bn3": kind,
        "layer2.1.bn3": kind,
        "layer3.0.bn3": kind,
    }
    assert converted.report.left == converted.report.new == {}
    assert same(converted, theirs)
    block = converted.blocks["layer2.1.bn3"]
    with torch.no_grad():
        next(block.parameters()).neg_()
    assert not same(converted, theirs)


@pytest.mark.slow
def test_the_fusion_is_asked_for(tmp_path):
    path = saved(network("+", (2,)), tmp_path)
    with pytest.raises(ValueError, match=r"both gates of 'layer2.1' are fused.*give fusion='sum'"):
        convert.checkpoint(path)
    with pytest.raises(ValueError, match=r"fusion='mean' is not one of"):
        convert.checkpoint(path, fusion="mean")
    assert "assumed: fusion at layer2.1: max" in str(convert.checkpoint(path, fusion="max").report)


@pytest.mark.slow
@pytest.mark.parametrize("triangle", ["lower", "upper"])
def test_gsop_net_2_gives_the_same(triangle, tmp_path):
    torch.manual_seed(0)
    theirs = network("1", (1, 2))
    reduce, norm = nn.Conv2d(2048, 6, 1, bias=False), nn.BatchNorm2d(6)
    theirs.avgpool = nn.Sequential(reduce, norm, nn.ReLU(), ISqrt(3, triangle))
    theirs.fc = nn.Linear(21, 5)
    randomise(theirs)
    names = {"avgpool.0.": "layer_reduce.", "avgpool.1.": "layer_reduce_bn."}
    state = {
        next((t + k[len(o) :] for o, t in names.items() if k.startswith(o)), k): v
        for k, v in theirs.state_dict().items()
    }
    path = tmp_path / "net2.pth"
    torch.save(state, path)
    options = {} if triangle == "lower" else {"triangle": "upper"}
    converted = convert.checkpoint(path, **options)
    assert converted.network.avgpool.steps == 3
    assert same(converted, theirs)
    assert not same(convert.checkpoint(path, triangle="upper" if triangle == "lower" else "lower"), theirs)


@pytest.mark.slow
def test_a_grid_that_is_not_square_is_refused(tmp_path):
    made = network("2", (2,))
    made.layer2[1].row_bn_for_spatial = nn.BatchNorm2d(15)
    with pytest.raises(ValueError, match=r"the position gate of 'layer2.1' has 15 positions, not a square number"):
        convert.checkpoint(saved(made, tmp_path))


@pytest.mark.parametrize("name", ["channel_eval", "fusion_avg_eval", "fusion_max_eval", "fusion_concat_eval"])
def test_the_expectation_of_these_tests_is_the_code_of_the_reference(name):
    path = GOLDENS / f"Bottleneck_{name}.safetensors"
    golden = load_file(path)
    with safe_open(path, "pt") as file:
        given = json.loads(file.metadata()["ctor"])
    state = {key.split(".", 1)[1]: t for key, t in golden.items() if key.startswith(("param.", "buffer."))}
    attention, side = given["attention"], 1
    if attention != "1":
        side = int(len(state["row_bn_for_spatial.weight"]) ** 0.5)
    block = Gated(Bottleneck(given["inplanes"], given["planes"]), attention, given["att_dim"], side)
    if attention != "2":
        block.conv_for_DR.stride = (2, 2)
    if attention == "&":
        channels, per_group, kernel, _ = state["dilate_conv_for_concat1.weight"].shape
        for name in ("dilate_conv_for_concat1", "dilate_conv_for_concat2"):
            layer = nn.Conv2d(channels, channels, (kernel, 1), padding=(kernel // 2, 0), groups=channels // per_group)
            block.add_module(name, layer)
    block.double().eval().load_state_dict(state)
    torch.testing.assert_close(block(golden["input"]), golden["output"], rtol=1e-10, atol=1e-10)
