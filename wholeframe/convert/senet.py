"""moskomule/senet.pytorch@8cb2669, `senet/se_module.py` and `senet/se_resnet.py`: linear layers without biases.

Where the sizes of a residual block need a `downsample` and None is given, it is that of torchvision's ResNets, with
which the reference builds its networks: a strided 1x1 convolution and a norm.
"""

from torch import nn
from torchvision.models import resnet

from wholeframe.blocks import SqueezeExcite
from wholeframe.convert.gcnet import shortcut

NAMES = {"fc.0.": "multiply.reduce.", "fc.2.": "multiply.expand."}


def residual_names(last: int) -> dict[str, str | None]:
    """The names of a residual block whose last norm is `bn{last}`; our block is part of it, as in `gcnet`."""
    return {
        **{f"{kind}{index}.": f"{kind}{index}." for kind in ("conv", "bn") for index in range(1, last)},
        f"conv{last}.": f"conv{last}.",
        f"bn{last}.": f"bn{last}.0.",
        "downsample.": "downsample.",
        **{f"se.{theirs}": f"bn{last}.1.{ours}" for theirs, ours in NAMES.items()},
    }


BASIC_BLOCK = residual_names(2)
BOTTLENECK = residual_names(3)


def squeeze_excite(channel: int, reduction: int = 16) -> SqueezeExcite:
    """`SELayer`."""
    return SqueezeExcite(channel, hidden=channel // reduction, bias=False)


def basic_block(
    inplanes: int,
    planes: int,
    stride: int = 1,
    downsample: nn.Module | None = None,
    groups: int = 1,
    base_width: int = 64,
    dilation: int = 1,
    norm_layer: object = None,
    *,
    reduction: int = 16,
) -> resnet.BasicBlock:
    """`SEBasicBlock`: torchvision's, with the block after its last norm. `groups` to `norm_layer` have no effect."""
    block = resnet.BasicBlock(inplanes, planes, stride, downsample or shortcut(inplanes, planes, stride))
    block.bn2 = nn.Sequential(block.bn2, squeeze_excite(planes, reduction))
    return block


def bottleneck(
    inplanes: int,
    planes: int,
    stride: int = 1,
    downsample: nn.Module | None = None,
    groups: int = 1,
    base_width: int = 64,
    dilation: int = 1,
    norm_layer: object = None,
    *,
    reduction: int = 16,
) -> resnet.Bottleneck:
    """`SEBottleneck`: torchvision's, with the block after its last norm. `groups` to `norm_layer` have no effect."""
    block = resnet.Bottleneck(inplanes, planes, stride, downsample or shortcut(inplanes, 4 * planes, stride))
    block.bn3 = nn.Sequential(block.bn3, squeeze_excite(4 * planes, reduction))
    return block
