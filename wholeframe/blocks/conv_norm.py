"""A 1 x 1 convolution with batch norm: a linear map over channels, its norm and its activation."""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wholeframe.blocks.arguments import integer
from wholeframe.blocks.init import init_kaiming
from wholeframe.blocks.plain import plain, refuse_changed
from wholeframe.messages import one_of


class ConvNorm(nn.Module):
    """v = act(BN(W x + b)): from positions `(b, m, c)` to a map `(b, d, m)`.

    Args:
        channels: c.
        inner: d.
        act: `"relu"` or None.
        bias: whether b exists.

    Raises:
        ValueError: for widths below 1 and an unknown `act`.
    """

    def __init__(self, channels: int, inner: int, *, act: Literal["relu"] | None = "relu", bias: bool = True):
        super().__init__()
        one_of("reduce_act", act, ("relu", None))
        integer("channels", channels)
        integer("inner", inner)
        self.channels, self.inner, self.act = channels, inner, act
        self.linear = nn.Linear(channels, inner, bias=bias)
        self.norm = nn.BatchNorm1d(inner)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        refuse_changed(self)
        init_kaiming(self.linear)
        self.norm.reset_parameters()

    def forward(self, x: Float[Tensor, "b m c"]) -> Float[Tensor, "b d m"]:
        # A convolution returns the layout that batch norm takes, channels before positions: a quarter faster than a
        # linear layer, and torch.compile reproduces this layout in the backward pass.
        if plain(self.linear):
            v = F.conv1d(x.transpose(-2, -1), self.linear.weight[:, :, None], self.linear.bias)
        else:
            v = self.linear(x).transpose(-2, -1)
        v = self.norm(v)
        return v if self.act is None else F.relu(v)

    def multiply_adds(self, n: int) -> int:
        return self.channels * self.inner * n
