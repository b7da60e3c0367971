"""A linear map over channels with a batch norm behind it: the convolution of convolutional networks, 1 x 1."""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wholeframe.blocks.init import init_conv
from wholeframe.messages import one_of


class ConvNorm(nn.Module):
    """v = act(BN(W x + b)): a 1 x 1 convolution from c to d channels, and from the order of positions to that of a map.

    Args:
        channels: c.
        inner: d.
        act: `"relu"` or None.
        bias: of the convolution.

    Raises:
        ValueError: for an `inner` below one and an unknown `act`.
    """

    def __init__(self, channels: int, inner: int, *, act: Literal["relu"] | None = "relu", bias: bool = True):
        super().__init__()
        one_of("reduce_act", act, ("relu", None))
        if inner < 1:
            raise ValueError(f"inner={inner} is no width; give a number from 1, such as {max(channels // 8, 1)}")
        self.act = act
        self.linear = nn.Linear(channels, inner, bias=bias)
        self.norm = nn.BatchNorm1d(inner)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        init_conv(self.linear)
        self.norm.reset_parameters()

    def forward(self, x: Float[Tensor, "b m c"]) -> Float[Tensor, "b d m"]:
        # As a convolution the result lies as the batch norm wants it, channels before samples: a quarter faster than
        # a linear layer, and a layout that torch.compile reproduces in the backward pass.
        v = self.norm(F.conv1d(x.mT, self.linear.weight[:, :, None], self.linear.bias))
        return v if self.act is None else F.relu(v)

    def multiply_adds(self, n: int) -> int:
        return self.linear.weight.numel() * n
