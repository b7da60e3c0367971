"""open-mmlab/mmpretrain (mmcls before), `models/utils/se_layer.py`: two 1x1 convolutions with biases."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from wholeframe.blocks import SqueezeExcite
from wholeframe.blocks.conventions import rounded
from wholeframe.convert.rename import meaning

NAMES = {"conv1.conv.": "multiply.reduce.", "conv2.conv.": "multiply.expand."}
ACTIVATIONS = (MappingProxyType({"type": "ReLU"}), MappingProxyType({"type": "Sigmoid"}))


def squeeze_excite(
    channels: int,
    squeeze_channels: int | None = None,
    ratio: int = 16,
    divisor: int = 8,
    bias: bool | Literal["auto"] = "auto",
    conv_cfg: Mapping[str, object] | None = None,
    act_cfg: Sequence[Mapping[str, object]] = ACTIVATIONS,
    return_weight: bool = False,
    init_cfg: object = None,
) -> SqueezeExcite:
    """`SELayer`. `init_cfg` is a distribution of untrained weights; ours have their own.

    The gate of MobileNetV3, `HSigmoid` with a bias of 3 and a divisor of 6, is the hard sigmoid.
    """
    if conv_cfg not in (None, {"type": "Conv"}, {"type": "Conv2d"}):
        raise ValueError(f"conv_cfg={conv_cfg!r} has no counterpart here; leave it out for a plain convolution")
    if return_weight:
        raise ValueError("return_weight=True has no counterpart here; leave it out and call `gates` of the block")
    if len(act_cfg) != 2:
        raise ValueError(f"act_cfg={act_cfg!r} must have two entries, of the activation and of the gate")
    activation, gate = (dict(entry) for entry in act_cfg)
    return SqueezeExcite(
        channels,
        hidden=squeeze_channels or rounded(channels // ratio, divisor, least=0.9),
        bias=bias is not False,
        activation=meaning("act_cfg", activation.get("type"), {"ReLU": "relu", "Swish": "silu", "SiLU": "silu"}),
        gate="hard_sigmoid" if gate in HARD else meaning("act_cfg", gate.get("type"), {"Sigmoid": "sigmoid"}),
    )


# mmcv's HSigmoid is min(max((x + bias) / divisor, 0), 1); these values are its defaults since mmcv 1.4.4.
HARD = (
    {"type": "HSigmoid"},
    {"type": "HSigmoid", "bias": 3.0, "divisor": 6.0},
    {"type": "Hardsigmoid"},
)
