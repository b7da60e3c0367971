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


SHAPES = {"0": (4, 3, 1, 1), "1": (5, 4, 1, 1), "3": (2, 5)}


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({}, ()),
        ({"3": (9, 5)}, ("3",)),
        ({"3": None}, ("3",)),
        ({"0": (8, 3, 1, 1), "3": (9, 5)}, ()),
        ({"1": (15, 4, 1, 1), "3": (6, 5)}, ("1", "3")),  # three times as many classes
        ({"0": (8, 3, 1, 1), "1": (10, 8, 1, 1)}, ()),  # a network of twice the width
        ({"0": (8, 3, 1, 1), "1": (5, 8, 1, 1)}, ("0",)),  # `inflate` then refuses the kernel of "1"
    ],
)
def test_layers_of_another_number_of_classes(other, found):
    shapes = {name: shape for name, shape in (SHAPES | other).items() if shape is not None}
    assert of_another_width(net(), shapes) == found
