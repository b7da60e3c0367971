"""A VGG with second-order pooling in place of its last maximum, as data."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torchvision.models.vgg import make_layers

from wholeframe.blocks import ISqrtCov
from wholeframe.messages import refuse_unknown


class ShapedVGG(nn.Module):
    """The convolutions of a VGG without its last maximum, `ISqrtCov`, and a classifier.

        logits = classifier(triangle((cov features(x))^1/2))

    Source: the VGG of jiangtaoxie/fast-MPN-COV, whose module names these are.

    Args:
        layers: widths of the convolutions, "M" for a maximum over 2 x 2 positions.
        num_classes: width of the output.
        batch_norm: after every convolution.
        hidden: widths of the classifier's hidden layers, each followed by ReLU and dropout; () for a single layer.
        pool: arguments of `ISqrtCov`.
    """

    def __init__(
        self,
        layers: Sequence[int | str],
        num_classes: int = 1000,
        *,
        batch_norm: bool = True,
        hidden: Sequence[int] = (4096, 4096),
        pool: Mapping[str, Any],
    ):
        super().__init__()
        refuse_unknown("pool", ISqrtCov.__init__, pool)
        self.features = make_layers(list(layers), batch_norm=batch_norm)
        channels = next(width for width in reversed(layers) if isinstance(width, int))
        self.representation = ISqrtCov(channels, **pool)
        widths = [self.representation.out_features, *hidden, num_classes]
        linears = [nn.Linear(before, after) for before, after in pairwise(widths)]
        between = [module for linear in linears[:-1] for module in (linear, nn.ReLU(inplace=True), nn.Dropout())]
        self.classifier = nn.Sequential(*between, linears[-1]) if hidden else linears[-1]

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.representation(self.features(x)))
