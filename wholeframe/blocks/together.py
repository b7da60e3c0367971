"""theta, phi and g as one linear map, for inference: one product instead of three."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Together(nn.Module):
    """Several linear maps of the same input as one: their rows, one after the other.

    Args:
        layers: linear layers with as many inputs; all have a bias, or none has.
    """

    def __init__(self, layers: Sequence[nn.Linear]):
        super().__init__()
        weights, biases = [layer.weight.detach() for layer in layers], [layer.bias for layer in layers]
        frozen = not any(layer.weight.requires_grad for layer in layers)
        self.weight = nn.Parameter(torch.cat(weights), requires_grad=not frozen)
        bias = None if biases[0] is None else torch.cat([bias.detach() for bias in biases])
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=not frozen)


class Rows(nn.Module):
    """Some rows of `Together`, as the layer that they were: its weight and bias are views.

    Args:
        together: the layer that owns the weights, which is not registered here a second time.
        rows: of this layer.
    """

    def __init__(self, together: Together, rows: slice):
        super().__init__()
        self.owner, self.rows = (together,), rows  # a tuple, because a module as an attribute becomes a child

    @property
    def weight(self) -> Tensor:
        return self.owner[0].weight[self.rows]

    @property
    def bias(self) -> Tensor | None:
        bias = self.owner[0].bias
        return None if bias is None else bias[self.rows]

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"rows {self.rows.start} to {self.rows.stop}"


def merge(block: nn.Module, names: Sequence[str]) -> None:
    """Make the linear layers of these names in a block rows of one layer, its child `together`."""
    layers: list[nn.Linear] = [getattr(block, name) for name in names]
    block.together = Together(layers)
    start = 0
    for name, layer in zip(names, layers, strict=True):
        setattr(block, name, Rows(block.together, slice(start, start + layer.out_features)))
        start += layer.out_features
