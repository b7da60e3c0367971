"""Both gates of global second-order pooling in one block, with the fusions of the released code."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.fx import Proxy

from wholeframe import ops
from wholeframe.blocks.arguments import divides, integer, odd, part
from wholeframe.blocks.gsop import GSoPChannel, GSoPPosition
from wholeframe.blocks.init import init_kaiming
from wholeframe.blocks.inputs import leaf_or_refuse
from wholeframe.blocks.looks import Look
from wholeframe.blocks.plain import refuse_changed
from wholeframe.blocks.recipe import Recorded
from wholeframe.messages import one_of


class GSoP(Recorded):
    """Both gates of GSoP, each applied to the unmodified x, and one of three fusions.

    | fusion     | z                                                       |
    |------------|---------------------------------------------------------|
    | `"sum"`    | channel(x) + position(x)                                |
    | `"max"`    | max(channel(x), position(x))                            |
    | `"concat"` | BN(W_c * channel(x) + W_p * position(x))                |

    W_c and W_p are grouped k x 1 convolutions along the height: a sequence is an image of one column, and the frames of
    a clip are convolved one by one. Source: Gao et al., CVPR 2019, and its code. The published networks use the channel
    block alone.

    *Where references disagree*, paper and code: the fusion called average is a sum, without 1/2; the one called
    concatenation concatenates nothing, and its layers `dilate_conv_for_concat` have no dilation.

    Args:
        channels: c.
        channel: `channel(channels)` returns a `GSoPChannel`.
        position: `position(channels)` returns a `GSoPPosition`.
        fusion: `"sum"`, `"max"` or `"concat"`.
        groups: of the convolutions of `"concat"`; None for channels / 64, as released.
        kernel: k, an odd number; None for 2 log2(32 / groups) + 5, as released.

    Raises:
        ValueError: for an unknown fusion, for groups that do not divide the channels, for an even kernel, and for
            groups or a kernel of a fusion without convolutions.
    """

    remark: str | None = None

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
        integer("channels", channels)
        part("channel", channel, "GSoPChannel")
        part("position", position, "GSoPPosition")
        one_of("fusion", fusion, ("sum", "max", "concat"))
        for name, value in (("groups", groups), ("kernel", kernel)):
            if value is not None and fusion != "concat":
                raise ValueError(
                    f"{name}={value!r} does not apply to fusion={fusion!r}, which has no convolutions; leave it out, "
                    "or take fusion='concat'"
                )
        self.channels, self.fusion, self.groups, self.kernel = channels, fusion, 1, 1
        self.channel, self.position = channel(channels), position(channels)
        self.out_channel, self.out_position, self.norm = None, None, None
        if fusion == "concat":
            groups = published_groups(channels) if groups is None else groups
            integer("groups", groups)
            kernel = 2 * int(math.log2(32 / groups)) + 5 if kernel is None else kernel
            divides("groups", groups, "channels", channels)
            odd("kernel", kernel, default=11)
            self.kernel, self.groups = kernel, groups
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
        """Whether a fresh block returns its input: only the maximum of two identities does."""
        return self.fusion == "max" and self.channel.identity_at_init and self.position.identity_at_init

    @property
    def has_attention(self) -> bool:
        """False: the block multiplies channels and positions by gates and has no sum over positions."""
        return False

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        if (
            isinstance(x, Proxy)
            or x.ndim < 3
            or x.shape[1] != self.channels
            or not x.is_floating_point()
            or 0 in x.shape[2:]
        ):
            return leaf_or_refuse(self, x)
        by_channel, by_position = self.channel(x), self.position(x)
        if self.fusion == "sum":
            return by_channel + by_position
        if self.fusion == "max":
            return torch.maximum(by_channel, by_position)
        assert self.out_channel is not None and self.out_position is not None and self.norm is not None
        z = ops.over_space(self.out_channel, by_channel) + ops.over_space(self.out_position, by_position)
        return ops.on_grid(self.norm(ops.flat(z)), x.shape[2:])

    def attention(
        self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]
    ) -> Float[Tensor, "b q *grid"]:
        """Raises ValueError, because the block has no sum over positions and so no attention."""
        raise ValueError(
            "GSoP multiplies channels and positions by numbers and sums over none, so there is no attention to show; "
            "block.channel.gates(x) and block.position.gates(x) are these numbers"
        )

    def looks(self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]) -> tuple[Look, ...]:
        """Those of the channel block and of the position block."""
        return self.channel.looks(x, query) + self.position.looks(x, query)

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """Multiply-adds of one sample: both blocks and the convolutions of `"concat"`, padding included."""
        fused = 0
        if self.fusion == "concat":
            fused = 2 * self.channels**2 // self.groups * self.kernel * math.prod(grid)
        return self.channel.multiply_adds(grid) + self.position.multiply_adds(grid) + fused

    def extra_repr(self) -> str:
        return f"{self.channels}, fusion={self.fusion!r}"

    def _reset_fusion(self) -> None:
        refuse_changed(self)
        for layer in (self.out_channel, self.out_position):
            if layer is not None:
                init_kaiming(layer)
        if self.norm is not None:
            self.norm.reset_parameters()


def published_groups(channels: int) -> int:
    """channels / 64. Raises ValueError where that does not divide the channels."""
    if channels < 64 or channels % (channels // 64):
        raise ValueError(
            f"fusion='concat' takes channels / 64 groups by default, which does not divide channels={channels}; "
            "give groups and kernel, such as groups=1, kernel=15"
        )
    return channels // 64
