"""A residual network for clips, with the module names of torchvision's ResNet.

The names (`conv1 bn1 layer1 ... layer4 fc`, and `conv1 bn1 ... downsample.0` within a block) are those of the 2-D
network, so that `wholeframe.models.inflate` loads 2-D weights by name and blocks are inserted at the same sites as in
images: after block 4 of res4 is `layer3.4`, before its residual sum is `layer3.4.bn3`.
"""

from collections.abc import Sequence
from itertools import cycle
from typing import Any, Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wholeframe.messages import one_of, refuse_unknown
from wholeframe.models import video_conventions as conventions
from wholeframe.models.resnet_sites import STAGES, Depth, Stride

Inflation = Literal["3x1x1", "3x3x3", "two 3x3x3"]
Triple = tuple[int, int, int]


class VideoResNet(nn.Module):
    """ResNet-18, -34, -50, -101 or -152 over clips.

        conv1, pool1, layer1 (res2), pool2, layer2 ... layer4 (res5), mean over the grid, dropout, fc

    No convolution has a bias, and each is followed by a batch norm; a shortcut is a 1x1x1 convolution where the width
    or the stride changes.

    Source: C2D (no temporal kernels: only the pools mix frames) and I3D of Wang et al., CVPR 2018 (arXiv 1711.07971),
    table 1 and section 4; Slow-only of Feichtenhofer et al., ICCV 2019.

    *Where references disagree* there is an argument, and `VideoResNet.like` has the values of each reference:

    - `conv1_stride`: (2, 2, 2) in the paper, the released `resnet_video_org` and MMAction2's I3D; (1, 2, 2) in
      the released `resnet_video` and PySlowFast.
    - `pool1`: 3x3x3 in the paper; 2x3x3 without padding in `resnet_video_org` (56 x 56 becomes 55 x 55), 1x3x3
      without padding in `resnet_video`; 1x3x3 with padding in PySlowFast and in MMAction2, whose stride of 2 drops
      every other frame.
    - `pool2`: 3 frames in the paper, 2 in every code, none in Slow-only and the "nopool" networks.
    - `stride`: a stage halves the map in the 3x3 of its first block in all released code (torchvision's too), and in
      the first 1x1 in the network whose multiply-adds the paper prints (inferred: no other stride gives its figure).
    - `inflated`: every second block in the paper's text; in all code every block of res2 and every second one after
      it.

    Args:
        depth: 18, 34, 50, 101 or 152.
        num_classes: width of the output.
        conv1_time: frames in the kernel of conv1, odd.
        conv1_stride: (t, h, w).
        pool1, pool1_stride, pool1_padding: window, stride and padding of the max pooling after conv1.
        pool2: frames in the window of the temporal max pooling of stride 2 after layer1; None for no pooling.
        inflated: for each of the four stages, which blocks have a temporal kernel, as a pattern that is repeated.
        inflation: `"3x1x1"` inflates the first 1x1 of a bottleneck, `"3x3x3"` its 3x3. A basic block (18 and 34)
            has no 1x1 and takes `"3x3x3"`, which inflates its first 3x3, or `"two 3x3x3"` for both (mmaction2).
        stride: which convolution of a bottleneck halves the map, `"3x3"` or the first `"1x1"`.
        last_stride: 1 for a last stage that does not halve the map, in detectors of actions.
        last_dilation: of the 3x3 of bottlenecks in the last stage, 2 in PySlowFast's detectors.
        dropout: probability of the dropout before fc.

    Returns:
        Logits `(b, num_classes)` of clips `(b, 3, t, h, w)`.

    Raises:
        ValueError: for an unknown depth or option, and in the forward pass for an input of another shape.
    """

    def __init__(
        self,
        depth: Depth,
        num_classes: int = 400,
        *,
        conv1_time: int,
        conv1_stride: Triple,
        pool1: Triple,
        pool1_stride: Triple,
        pool1_padding: Triple,
        pool2: int | None,
        inflated: Sequence[Sequence[int]],
        inflation: Inflation = "3x1x1",
        stride: Stride = "3x3",
        last_stride: Literal[1, 2] = 2,
        last_dilation: Literal[1, 2] = 1,
        dropout: float = 0.5,
    ):
        super().__init__()
        one_of("depth", depth, tuple(STAGES))
        one_of("inflation", inflation, ("3x1x1", "3x3x3", "two 3x3x3"))
        one_of("stride", stride, ("3x3", "1x1"))
        one_of("last_stride", last_stride, (1, 2))
        one_of("last_dilation", last_dilation, (1, 2))
        block = VideoBottleneck if depth >= 50 else VideoBasicBlock
        if len(inflated) != 4 or not all(inflated):
            raise ValueError(
                f"inflated={inflated!r} must have a pattern for each of four stages, such as "
                "((1,), (1, 0), (1, 0), (0, 1))"
            )
        self.depth = depth
        self.conv1 = nn.Conv3d(3, 64, (conv1_time, 7, 7), conv1_stride, padding=(conv1_time // 2, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.pool1 = nn.MaxPool3d(pool1, pool1_stride, pool1_padding)
        self.pool2 = (
            nn.Identity() if pool2 is None else nn.MaxPool3d((pool2, 1, 1), (2, 1, 1), ((pool2 - 1) // 2, 0, 0))
        )
        channels, stages = 64, []
        for stage, (count, pattern) in enumerate(zip(STAGES[depth], inflated, strict=True)):
            layers = []
            for index, taps in zip(range(count), cycle(pattern), strict=False):
                step = (1, 2, 2, last_stride)[stage] if index == 0 else 1
                dilation = last_dilation if stage == 3 else 1
                layers.append(block(channels, 64 << stage, step, stride, inflation if taps else None, dilation))
                channels = (64 << stage) * block.expansion
            stages.append(nn.Sequential(*layers))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        self.reset_parameters()

    @classmethod
    def like(
        cls,
        convention: conventions.VideoConvention,
        architecture: conventions.Architecture,
        depth: Depth,
        num_classes: int = 400,
        **overrides: Any,
    ) -> "VideoResNet":
        """The network as a reference builds it: `VideoResNet.like("caffe2_org", "i3d", 50)`.

        Args:
            convention: strides and pools, a key of `wholeframe.models.video_conventions.VIDEO_CONVENTIONS`.
            architecture: temporal kernels, a key of `wholeframe.models.video_conventions.ARCHITECTURES`.
            depth: 18, 34, 50, 101 or 152.
            num_classes: width of the output.
            overrides: arguments of `VideoResNet`, which take precedence over the tables.

        Raises:
            ValueError: for an unknown name or argument.
        """
        refuse_unknown("VideoResNet", cls, overrides)
        return cls(depth, num_classes, **{**conventions.arguments_of(convention, architecture), **overrides})

    def reset_parameters(self) -> None:
        """He initialisation, and N(0, 0.01) for fc as in the released code."""
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, clip: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b classes"]:
        return self.fc(self.dropout(self.features(clip).mean(dim=(2, 3, 4))))

    def features(self, clip: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b c t h w"]:
        """The last map, over which the head averages."""
        if clip.ndim != 5 or clip.shape[1] != 3:
            raise ValueError(
                f"a clip has the shape (batch, 3, frames, height, width), and this one has {tuple(clip.shape)}; give "
                "clip[None] to add a batch, clip.transpose(1, 2) to put frames after channels"
            )
        x = self.layer1(self.pool1(F.relu(self.bn1(self.conv1(clip)))))
        return self.layer4(self.layer3(self.layer2(self.pool2(x))))

    def windows(self, clip: Float[Tensor, "b 3 t h w"], side: int = 7) -> Float[Tensor, "b classes y x"]:
        """Logits of every window of the last map, each over all frames and `side` x `side` positions.

        Fully convolutional testing averages the probabilities of windows, not their logits: a crop of 256 x 256 has a
        map of 8 x 8 and 2 x 2 windows (average pooling of stride 1 in the released code), and the score of a clip is
        `windows(clip).softmax(1).mean((2, 3))`.

        Args:
            clip: `(b, 3, t, h, w)`.
            side: height and width of a window in positions of the last map; a smaller map is one window.

        Returns:
            `(b, num_classes, y, x)`, one place for each window.
        """
        x = self.features(clip).mean(dim=2)
        x = F.avg_pool2d(x, (min(side, x.shape[2]), min(side, x.shape[3])), stride=1)
        return self.fc(self.dropout(x).movedim(1, -1)).movedim(-1, 1)


class VideoBasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; the first has the stride, and it or both are 3x3x3 where inflated."""

    expansion = 1

    def __init__(
        self, channels: int, width: int, step: int, stride: Stride, inflation: Inflation | None, dilation: int
    ):
        super().__init__()
        if dilation != 1:
            raise ValueError("last_dilation=2 is for bottlenecks; leave it out, or give a depth of 50 or more")
        if stride == "1x1" or inflation == "3x1x1":
            option = "stride='1x1'" if stride == "1x1" else "inflation='3x1x1'"
            raise ValueError(
                f"{option} has no meaning in ResNet-18 and -34, whose blocks have two 3x3 convolutions; "
                f"give stride='3x3' and inflation='3x3x3', or a depth of 50 or more"
            )
        self.conv1 = convolution(channels, width, (3 if inflation else 1, 3, 3), step)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = convolution(width, width, (3 if inflation == "two 3x3x3" else 1, 3, 3))
        self.bn2 = nn.BatchNorm3d(width)
        self.downsample = shortcut(channels, width, step)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.downsample(x))


class VideoBottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a shortcut; where inflated, the first is 3x1x1 or the second 3x3x3."""

    expansion = 4

    def __init__(
        self, channels: int, width: int, step: int, stride: Stride, inflation: Inflation | None, dilation: int
    ):
        super().__init__()
        if inflation == "two 3x3x3":
            raise ValueError(
                "inflation='two 3x3x3' has no meaning in a bottleneck, which has one 3x3 convolution; give '3x1x1' or "
                "'3x3x3', or a depth of 18 or 34"
            )
        first, second = (step, 1) if stride == "1x1" else (1, step)
        self.conv1 = convolution(channels, width, (3 if inflation == "3x1x1" else 1, 1, 1), first)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = convolution(width, width, (3 if inflation == "3x3x3" else 1, 3, 3), second, dilation)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = convolution(width, 4 * width, (1, 1, 1))
        self.bn3 = nn.BatchNorm3d(4 * width)
        self.downsample = shortcut(channels, 4 * width, step)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + self.downsample(x))


def convolution(channels: int, width: int, kernel: Triple, step: int = 1, dilation: int = 1) -> nn.Conv3d:
    """A convolution without bias, padded so that the grid stays, or has its height and width divided by `step`."""
    t, h, w = kernel
    padding, dilations = (t // 2, h // 2 * dilation, w // 2 * dilation), (1, dilation, dilation)
    return nn.Conv3d(channels, width, kernel, (1, step, step), padding, dilations, bias=False)


def shortcut(channels: int, width: int, step: int) -> nn.Module:
    """The identity, or a 1x1x1 convolution and a norm where width or grid changes."""
    if channels == width and step == 1:
        return nn.Identity()
    return nn.Sequential(convolution(channels, width, (1, 1, 1), step), nn.BatchNorm3d(width))
