"""A small network with a block that changes its output, as training would leave it."""

import pytest
import torch
from torch import nn

import wholeframe as wf


@pytest.fixture
def small():
    """Four classes from images of any size."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    )
    wf.insert(network, wf.GlobalContext, at="1", example=torch.zeros(1, 3, 32, 32))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()
