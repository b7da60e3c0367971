"""Both gates of global second-order pooling in one block, as their authors fuse them (Gao et al., CVPR 2019)."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from wholeframe import ops
from wholeframe.blocks.gsop import GSoPChannel, GSoPPosition
from wholeframe.blocks.init import init_conv
from wholeframe.messages import one_of


class GSoP(nn.Module):
    """Both gates of GSoP, each on the unmodified x, and one of three ways to fuse them.

    | fusion     | z                                                       |
    |------------|---------------------------------------------------------|
    | `"sum"`    | channel(x) + position(x)                                |
    | `"max"`    | max(channel(x), position(x))                            |
    | `"concat"` | BN(W_c * channel(x) + W_p * position(x))                |

    W_c and W_p are grouped k x 1 convolutions along the height: a sequence is all height, and the frames of a clip
    are convolved one by one. Source: Gao et al., CVPR 2019, and its code. The published nets take the channel block.

    Where paper and code disagree: the fusion called average is a sum, without 1/2; the one called concatenation
    concatenates nothing, and its layers `dilate_conv_for_concat` are not dilated.

    Args:
        channels: c.
        channel: `channel(channels)` gives a `GSoPChannel`.
        position: `position(channels)` gives a `GSoPPosition`.
        fusion: `"sum"`, `"max"` or `"concat"`.
        groups: of the convolutions of `"concat"`; None for channels / 64, as released.
        kernel: k, an odd number; None for 2 log2(32 / groups) + 5, as released.

    Raises:
        ValueError: for an unknown fusion, and for groups or a kernel that cannot be.
    """

    def __init__(
        self,
        channels: int,
        *,
        channel: Callable[[int], GSoPChannel] = GSoPChannel,
        position: Callable[[int], GSoPPosition] = GSoPPosition,
        fusion: Literal["sum", "max", "concat"] = "sum",
        groups: int | None = None,
        kernel: int | None = None,
    ):
        super().__init__()
        one_of("fusion", fusion, ("sum", "max", "concat"))
        self.channels, self.fusion = channels, fusion
        self.channel, self.position = channel(channels), position(channels)
        self.out_channel, self.out_position, self.norm = None, None, None
        if fusion == "concat":
            groups = published_groups(channels) if groups is None else groups
            kernel = 2 * int(math.log2(32 / groups)) + 5 if kernel is None else kernel
            if channels % groups or kernel % 2 == 0 or kernel < 1:
                raise ValueError(
                    f"groups={groups} and kernel={kernel} do not fit channels={channels}: groups have to divide the "
                    f"channels and the kernel has to be odd; try groups={math.gcd(channels, groups)}, kernel=11"
                )
            self.out_channel, self.out_position = (
                nn.Conv2d(channels, channels, (kernel, 1), padding=(kernel // 2, 0), groups=groups) for _ in range(2)
            )
            self.norm = nn.BatchNorm1d(channels)
        self._reset_fusion()

    def reset_parameters(self) -> None:
        """Return to the initial state, which a model-wide initialisation may have overwritten."""
        self.channel.reset_parameters()
        self.position.reset_parameters()
        self._reset_fusion()

    @property
    def identity_at_init(self) -> bool:
        """Whether a fresh block returns its input: the maximum of two identities does."""
        return self.fusion == "max" and self.channel.identity_at_init and self.position.identity_at_init

    @property
    def has_attention(self) -> bool:
        """Whether `attention` has something to show."""
        return False

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        by_channel, by_position = self.channel(x), self.position(x)
        if self.fusion == "sum":
            return by_channel + by_position
        if self.fusion == "max":
            return torch.maximum(by_channel, by_position)
        assert self.out_channel is not None and self.out_position is not None and self.norm is not None
        z = ops.over_space(self.out_channel, by_channel) + ops.over_space(self.out_position, by_position)
        return self.norm(z.flatten(2)).unflatten(2, x.shape[2:])

    def attention(
        self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]
    ) -> Float[Tensor, "b q *grid"]:
        raise ValueError(
            "GSoP multiplies channels and positions by numbers and sums over none, so there is no attention to show; "
            "block.channel.gates(x) and block.position.gates(x) are these numbers"
        )

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """Multiply-adds of one sample: both blocks and the convolutions of `"concat"`, borders included."""
        convolutions = [layer for layer in (self.out_channel, self.out_position) if layer is not None]
        fused = sum(layer.weight.numel() for layer in convolutions) * math.prod(grid)
        return self.channel.multiply_adds(grid) + self.position.multiply_adds(grid) + fused

    def extra_repr(self) -> str:
        return f"{self.channels}, fusion={self.fusion!r}"

    def _reset_fusion(self) -> None:
        for layer in (self.out_channel, self.out_position):
            if layer is not None:
                init_conv(layer)
        if self.norm is not None:
            self.norm.reset_parameters()


def published_groups(channels: int) -> int:
    """channels / 64, refused where it is none or does not divide."""
    if channels < 64 or channels % (channels // 64):
        raise ValueError(
            f'fusion="concat" has channels / 64 groups, which channels={channels} does not give; '
            "give groups and kernel yourself, such as groups=1, kernel=15"
        )
    return channels // 64
