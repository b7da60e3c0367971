"""A small residual network for clips, with the stages and sites of ResNet-50, for the tables of the papers.

Its sites have the names of `wholeframe.models.resnet_video`: before the last residual block of res4 is `layer3.4`, and
five blocks are at `layer2.1`, `layer2.3`, `layer3.1`, `layer3.3` and `layer3.5`. Before a residual sum is
`layer3.4.bn`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wholeframe.models.video_conventions import ARCHITECTURES, Architecture

WIDTH = 32
COUNTS = (1, 4, 6, 1)


class ToyClipNet(nn.Module):
    """One convolution of stride 2 in space, four stages of residual blocks, and two 1x1x1 convolutions.

        conv1, layer1 (res2), layer2 (res3), layer3 (res4), layer4 (res5), head

    res3 and res4 have as many blocks as in ResNet-50. No stage changes the grid, so that every position of a frame has
    logits of its own.

    Args:
        num_classes: width of the output.
        architecture: which blocks are temporal, a key of `wholeframe.models.video_conventions.ARCHITECTURES`.
        counts: residual blocks of the four stages.
        width: channels of every stage.

    Returns:
        Logits `(b, num_classes, t, h/2, w/2)` of clips `(b, 3, t, h, w)`, or `(b, num_classes, h/2, w/2)` of images,
        which are clips of one frame.
    """

    def __init__(
        self, num_classes: int, architecture: Architecture = "c2d", counts: Sequence[int] = COUNTS, width: int = WIDTH
    ):
        super().__init__()
        kernels = ARCHITECTURES[architecture]
        inflation = kernels.get("inflation", "none")
        self.conv1 = nn.Conv3d(3, width, (1, 3, 3), (1, 2, 2), padding=(0, 1, 1), bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(
                *(
                    ToyResidual(width, spatial=index == 0, inflation=inflation if taps else "none")
                    for index, taps in zip(range(count), cycle(pattern), strict=False)
                )
            )
            for count, pattern in zip(counts, kernels["inflated"], strict=True)
        )
        self.head = nn.Sequential(nn.Conv3d(width, width, 1), nn.ReLU(), nn.Conv3d(width, num_classes, 1))

    def forward(self, clip: Float[Tensor, "b 3 *grid"]) -> Float[Tensor, "b classes *grid"]:
        if clip.ndim == 4:
            return self(clip[:, :, None])[:, :, 0]
        x = F.relu(self.bn1(self.conv1(clip)))
        return self.head(self.layer4(self.layer3(self.layer2(self.layer1(x)))))


class ToyResidual(nn.Module):
    """relu(x + BN(W * x)), with a 3 x 3 kernel in space if `spatial`, else 1 x 1, so that little of a frame is seen.

    The gain of BN starts at zero, so that a block of any depth learns from the features of the first convolution.
    An inflated block has three frames in its kernel: `"3x1x1"` leaves the rest as it is, `"3x3x3"` makes it 3 x 3 too.
    """

    def __init__(self, width: int, spatial: bool, inflation: str):
        super().__init__()
        frames, side = (1 if inflation == "none" else 3), (3 if spatial or inflation == "3x3x3" else 1)
        padding = (frames // 2, side // 2, side // 2)
        self.conv = nn.Conv3d(width, width, (frames, side, side), padding=padding, bias=False)
        self.bn = nn.BatchNorm3d(width)
        nn.init.zeros_(self.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.bn(self.conv(x)))


TOY_CLIP_NETS: dict[str, Callable[[int], nn.Module]] = {
    "small_c2d": ToyClipNet,
    "small_i3d": partial(ToyClipNet, architecture="i3d"),
    "small_i3d333": partial(ToyClipNet, architecture="i3d333"),
    "small_c2d_plain1": partial(ToyClipNet, counts=(1, 4, 7, 1)),
    "small_c2d_plain5": partial(ToyClipNet, counts=(1, 6, 9, 1)),
    "small_c2d_plain10": partial(ToyClipNet, counts=(1, 8, 12, 1)),
}
"""By name; `plain5` has five more residual blocks, two in res3 and three in res4, where NL-5 has non-local ones."""
