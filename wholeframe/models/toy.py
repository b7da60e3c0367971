"""A small convolutional network for the comparison of blocks."""

from jaxtyping import Float
from torch import Tensor, nn


class ToyNet(nn.Module):
    """Three convolutional stages and two 1 x 1 convolutions, with a small receptive field.

    `stage3` is the site for a block: the layers after it see one position at a time, so only the block can relate
    distant positions.

    Args:
        num_classes: width of the output.
        strides: of the three stages.
        depth: 3 x 3 convolutions per stage; the first one has the stride.
        dense: whether the output has classes at every position, or their mean over positions.
        width: channels of every stage.

    Returns:
        Logits `(b, num_classes, h, w)` at every position of the last map, or `(b, num_classes)`.
    """

    def __init__(
        self, num_classes: int, *, strides: tuple[int, int, int], depth: int = 1, dense: bool = False, width: int = 48
    ):
        super().__init__()
        widths = (3, width, width)
        self.stage1, self.stage2, self.stage3 = (
            stage(channels, width, stride, depth) for channels, stride in zip(widths, strides, strict=True)
        )
        self.head = nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, num_classes, 1))
        self.dense = dense

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b classes *grid"]:
        logits = self.head(self.stage3(self.stage2(self.stage1(image))))
        return logits if self.dense else logits.mean(dim=(2, 3))


def stage(channels: int, width: int, stride: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(depth):
        convolution = nn.Conv2d(
            channels if index == 0 else width, width, 3, stride if index == 0 else 1, padding=1, bias=False
        )
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)
