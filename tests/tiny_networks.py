"""A residual network of a few channels, with a block before the sum and one after it, and a peer that has the same."""

import types
from functools import partial

import torch
from torch import nn

import wholeframe as wf
from wholeframe.bench.network_cases import Limits, NetworkCase, Peer

SAMPLE = 3, 12, 12
CHANNELS = 8


class Residual(nn.Module):
    """relu(x + BN(W x))."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(CHANNELS)

    def forward(self, x):
        return (x + self.bn(self.conv(x))).relu()


class Tiny(nn.Module):
    """A convolution, two residual blocks, a classifier."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS, 3, padding=1, stride=2)
        self.first, self.second = Residual(), Residual()
        self.fc = nn.Linear(CHANNELS, 5)

    def forward(self, x):
        return self.fc(self.second(self.first(self.stem(x).relu())).mean((2, 3)))


CONTEXT = partial(wf.GlobalContext, ratio=1 / 2)


def with_blocks(block=CONTEXT, at=("first.bn", "second")):
    """Two blocks: before the sum, and after it."""
    network = Tiny()
    wf.insert(network, block, at, example=torch.randn(1, *SAMPLE))
    return network


class ContextBlock(nn.Module):
    """GC with the constructor and the tensor names of mmcv, from the equation of the paper."""

    def __init__(self, in_channels, ratio):
        super().__init__()
        hidden = int(in_channels * ratio)
        self.conv_mask = nn.Conv2d(in_channels, 1, 1)
        self.channel_add_conv = nn.Sequential(
            nn.Conv2d(in_channels, hidden, 1),
            nn.LayerNorm([hidden, 1, 1]),
            nn.ReLU(),
            nn.Conv2d(hidden, in_channels, 1),
        )

    def forward(self, x):
        weights = self.conv_mask(x).flatten(2).softmax(2)
        context = (x.flatten(2) * weights).sum(2)[..., None, None]
        return x + self.channel_add_conv(context)


class Own(Tiny):
    """A network of the peer with a part of its own next to our first site, in a block of its own."""

    def __init__(self):
        super().__init__()
        self.first.se = ContextBlock(CHANNELS, 1 / 2)
        residual = self.first
        residual.forward = lambda x: (x + residual.se(residual.bn(residual.conv(x)))).relu()


PACKAGE = types.SimpleNamespace(ContextBlock=ContextBlock)
PEER = Peer("mmcv", "mmcv.ContextBlock", lambda channels: {"in_channels": channels, "ratio": 1 / 2})
OWN = Peer("mmcv", "mmcv.ContextBlock", PEER.arguments, Own, "se")
ALONE = NetworkCase("tiny", SAMPLE, with_blocks)
CASE = NetworkCase("tiny", SAMPLE, with_blocks, Limits(1.5, 1e-3, 1e-3), PEER)
