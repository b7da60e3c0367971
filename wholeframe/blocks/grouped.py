"""A linear map with one matrix per group of channels."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class GroupedLinear(nn.Module):
    """One matrix per contiguous group of channels: `weight` is `(out_channels, in_channels / groups)`.

    It is not an `nn.Conv1d`, so a network that re-initialises its convolutions does not change the block.
    """

    def __init__(self, in_channels: int, out_channels: int, groups: int):
        super().__init__()
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups))

    @property
    def matrices(self) -> Float[Tensor, "g out_per_group in_per_group"]:
        return self.weight.unflatten(0, (self.groups, -1))

    def forward(self, y: Float[Tensor, "b d n"]) -> Float[Tensor, "b c n"]:
        return (self.matrices @ y.unflatten(1, (self.groups, -1))).flatten(1, 2)

    def extra_repr(self) -> str:
        return f"out_channels={self.out_channels}, groups={self.groups}"
