"""pytorch/vision 0.29, `torchvision/ops/misc.py`."""

from torch import nn

from wholeframe.blocks import SqueezeExcite
from wholeframe.convert.rename import meaning

NAMES = {"fc1.": "multiply.reduce.", "fc2.": "multiply.expand."}


def squeeze_excite(
    input_channels: int,
    squeeze_channels: int,
    activation: object = nn.ReLU,
    scale_activation: object = nn.Sigmoid,
) -> SqueezeExcite:
    """`SqueezeExcitation`."""
    return SqueezeExcite(
        input_channels,
        hidden=squeeze_channels,
        activation=meaning("activation", activation, {"ReLU": "relu", "SiLU": "silu"}),
        gate=meaning("scale_activation", scale_activation, {"Sigmoid": "sigmoid", "Hardsigmoid": "hard_sigmoid"}),
    )
