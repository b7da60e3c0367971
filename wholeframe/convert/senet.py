"""moskomule/senet.pytorch@8cb2669, `senet/se_module.py`: linear layers without biases."""

from wholeframe.blocks import SqueezeExcite

NAMES = {"fc.0.": "multiply.reduce.", "fc.2.": "multiply.expand."}


def squeeze_excite(channel: int, reduction: int = 16) -> SqueezeExcite:
    """`SELayer`."""
    return SqueezeExcite(channel, hidden=channel // reduction, bias=False)
