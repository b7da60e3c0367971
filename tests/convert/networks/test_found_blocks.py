"""Files of AlexHex7 and tea1528: their demonstration networks as a whole, and their blocks in any network."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from reference_nets import PairBlock, randomise
from torch import Tensor, nn

from wholeframe import convert
from wholeframe.blocks import NonLocal


class Digits(nn.Module):
    """The network of AlexHex7's demonstration, narrow."""

    def __init__(self, mode: str, pool: bool, norm: bool):
        super().__init__()
        widths = (1, 4, 6, 8)
        for number in (1, 2, 3):
            conv = nn.Conv2d(widths[number - 1], widths[number], 3, padding=1)
            stage = nn.Sequential(conv, nn.BatchNorm2d(widths[number]), nn.ReLU(), nn.MaxPool2d(2))
            self.add_module(f"conv_{number}", stage)
        self.nl_1, self.nl_2 = (PairBlock(c, c // 2, mode, "alexhex7", pool, norm) for c in (4, 6))
        self.fc = nn.Sequential(nn.Linear(72, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv_3(self.nl_2(self.conv_2(self.nl_1(self.conv_1(x))))).flatten(1))


class Residual(nn.Module):
    """The residual block of tea1528's ResNet, whose shortcut has no weights."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride == 2:
            quarter = y.shape[1] // 4
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
        return F.relu(y + x)


class Cifar(nn.Module):
    """tea1528's ResNet with its block before the last residual block of the second stage."""

    def __init__(self, mode: str, norm: bool):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(Residual(4, 4, 1))
        self.layer2 = nn.Sequential(Residual(4, 8, 2), PairBlock(8, 4, mode, "tea1528", norm=norm), Residual(8, 8, 1))
        self.layer3 = nn.Sequential(Residual(8, 16, 2), Residual(16, 16, 1))
        self.linear = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(F.avg_pool2d(x, x.shape[3]).flatten(1))


def saved(network: nn.Module, folder: Path, prefix: str = "") -> Path:
    path = folder / "ckpt.t7"
    torch.save({"net": {prefix + key: t for key, t in network.state_dict().items()}, "acc": 93.1, "epoch": 4}, path)
    return path


MODES = ["embedded", "dot", "gaussian", "concatenate"]


def options(mode: str) -> dict[str, str]:
    return {"mode": mode} if mode in ("embedded", "dot") else {}


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize(("pool", "norm"), [(True, True), (False, False)])
@pytest.mark.parametrize("mode", MODES)
def test_the_network_for_digits_gives_the_same(mode, pool, norm, tmp_path):
    torch.manual_seed(0)
    theirs = randomise(Digits(mode, pool, norm), (2, 1, 28, 28))
    converted = convert.checkpoint(saved(theirs, tmp_path), **options(mode))
    assert (converted.source, list(converted.blocks)) == ("alexhex7", ["conv_1.3", "conv_2.3"])
    x = torch.randn(2, 1, 28, 28, dtype=torch.float64)
    torch.testing.assert_close(converted.network(x), theirs(x), rtol=1e-9, atol=1e-9)
    assert converted.report.left == converted.report.new == {}


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_the_small_resnet_gives_the_same(mode, norm, tmp_path):
    torch.manual_seed(0)
    theirs = randomise(Cifar(mode, norm), (2, 3, 16, 16))
    converted = convert.checkpoint(saved(theirs, tmp_path, "module."), **options(mode))
    assert (converted.source, list(converted.blocks)) == ("tea1528", ["layer2.0"])
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(converted.network(x), theirs(x), rtol=1e-9, atol=1e-9)


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("names", ["alexhex7", "tea1528"])
@pytest.mark.parametrize("mode", MODES)
def test_blocks_in_another_network_are_converted_alone(mode, names, tmp_path):
    torch.manual_seed(0)
    first, second = (randomise(PairBlock(8, inner, mode, names), (2, 8, 5, 4)) for inner in (4, 3))
    host = nn.ModuleDict({"stem": nn.Conv2d(3, 8, 3), "attention": first, "deep": nn.ModuleList([second])}).double()
    converted = convert.checkpoint(saved(host, tmp_path), **options(mode))
    assert converted.network is None and set(converted.blocks) == {"attention", "deep.0"}
    assert set(converted.report.left) == {"stem.weight", "stem.bias"}
    x = torch.randn(2, 8, 5, 4, dtype=torch.float64)
    for name, theirs in (("attention", first), ("deep.0", second)):
        ours = converted.blocks[name]
        assert isinstance(ours, NonLocal)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-9, atol=1e-9)


def test_a_block_alone_is_a_file_too(tmp_path):
    theirs = randomise(PairBlock(8, 4, "gaussian", "tea1528"), (2, 8, 5, 4))
    path = tmp_path / "block.pth"
    torch.save(theirs.state_dict(), path)
    converted = convert.checkpoint(path)
    x = torch.randn(2, 8, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(converted.blocks["block"](x), theirs(x), rtol=1e-9, atol=1e-9)


def test_the_kind_is_asked_for(tmp_path):
    path = saved(Digits("embedded", True, True), tmp_path)
    with pytest.raises(ValueError, match=r"its block at 'nl_1' is an embedded Gaussian or a dot product.*mode='dot'"):
        convert.checkpoint(path)
    with pytest.raises(ValueError, match=r"mode='softmax' is not one of"):
        convert.checkpoint(path, mode="softmax")


def test_a_file_without_blocks_is_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"a.g.weight": torch.zeros(2, 2), "b.W.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(ValueError, match=r"no block of this source"):
        convert.checkpoint(path)
