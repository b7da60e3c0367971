"""The layer that makes the logits."""

import pytest
import torch
from torch import nn

from wholeframe.surgery.classifier import classifier, layers, of_another_width
from wholeframe.surgery.insert import insert


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1), nn.Flatten(), nn.Linear(5, 2))


def test_the_last_layer_outside_of_blocks():
    network = net()
    insert(network, lambda channels: nn.Conv2d(channels, channels, 1), at="1", example=torch.zeros(1, 3, 1, 1))
    assert list(layers(network)) == ["0", "1", "3"] and classifier(network) is network[3]
    with pytest.raises(ValueError, match="this ReLU has no linear layer or convolution"):
        classifier(nn.ReLU())


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ({"0": 4, "1": 5, "3": 2}, ()),
        ({"0": 4, "1": 5, "3": 9}, ("3",)),
        ({"0": 4, "1": 5}, ("3",)),
        ({"0": 8, "1": 5, "3": 9}, ()),
    ],
)
def test_classifiers_of_another_width(rows, found):
    assert of_another_width(net(), rows) == found
