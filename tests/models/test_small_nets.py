"""The two small networks: sizes, and the shortcut without weights."""

import torch

from wholeframe.models.small_nets import DigitNet, Padded, SmallResNet


def test_digits():
    network = DigitNet(7, widths=(4, 5, 6), hidden=8).eval()
    assert network(torch.randn(2, 1, 28, 28)).shape == (2, 7)


def test_the_small_resnet_halves_the_map_twice():
    network = SmallResNet((1, 2, 1), 7, width=4).eval()
    x = torch.randn(2, 3, 16, 12)
    assert network.layer3(network.layer2(network.layer1(network.bn1(network.conv1(x))))).shape == (2, 16, 4, 3)
    assert network(x).shape == (2, 7)
    with torch.device("meta"):
        assert sum(p.numel() for p in SmallResNet().parameters()) == 853_018  # 0.85 M in the paper's table 6


def test_a_shortcut_pads_with_zeros_on_both_sides():
    x = torch.randn(1, 2, 5, 4)
    y = Padded(2, 4)(x)
    assert torch.equal(y[:, 2:4], x[:, :, ::2, ::2])
    assert not y[:, :2].any() and not y[:, 4:].any()
