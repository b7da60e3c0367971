"""Two small networks in which other repositories show their non-local blocks, without these blocks."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class DigitNet(nn.Module):
    """Three convolutions and two linear layers for grey images of 28 x 28 positions.

    Source: `lib/network.py` of AlexHex7/Non-local_pytorch, with its module names; its non-local blocks follow `conv_1`
    and `conv_2`.

    Args:
        num_classes: width of the output.
        widths: of the three convolutions.
        channels: of the image.
        hidden: width of the first linear layer.
    """

    def __init__(
        self, num_classes: int = 10, *, widths: Sequence[int] = (32, 64, 128), channels: int = 1, hidden: int = 256
    ):
        super().__init__()
        before = [channels, *widths]
        self.conv_1, self.conv_2, self.conv_3 = (
            nn.Sequential(nn.Conv2d(c, d, 3, padding=1), nn.BatchNorm2d(d), nn.ReLU(), nn.MaxPool2d(2))
            for c, d in zip(before, widths, strict=False)
        )
        self.fc = nn.Sequential(
            nn.Linear(9 * widths[-1], hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv_3(self.conv_2(self.conv_1(x))).flatten(1))


class Padded(nn.Module):
    """The shortcut without weights: every second position, and zeros for the new channels, half on either side."""

    def __init__(self, stride: int, more: int):
        super().__init__()
        self.stride, self.more = stride, more

    def forward(self, x: Tensor) -> Tensor:
        kept = x[..., :: self.stride, :: self.stride]
        return F.pad(kept, (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))


class SmallResidual(nn.Module):
    """Two 3x3 convolutions and a shortcut without weights."""

    def __init__(self, before: int, after: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential() if stride == 1 and before == after else Padded(stride, after - before)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class SmallResNet(nn.Module):
    """A ResNet for images of 32 x 32 positions: three stages, the second and the third with stride 2.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2, with the module names of
    tea1528/Non-Local-NN-Pytorch.

    Args:
        layers: residual blocks of each stage; nine each are ResNet-56.
        num_classes: width of the output.
        width: channels of the first stage, which every later one doubles.
    """

    def __init__(self, layers: Sequence[int] = (9, 9, 9), num_classes: int = 10, *, width: int = 16):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        first, second, third = layers
        self.layer1 = _stage(width, width, first, 1)
        self.layer2 = _stage(width, 2 * width, second, 2)
        self.layer3 = _stage(2 * width, 4 * width, third, 2)
        self.linear = nn.Linear(4 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def _stage(before: int, after: int, count: int, stride: int) -> nn.Sequential:
    rest = [SmallResidual(after, after) for _ in range(count - 1)]
    return nn.Sequential(SmallResidual(before, after, stride), *rest)
