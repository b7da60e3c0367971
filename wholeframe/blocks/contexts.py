"""Contexts summarise a whole map in one vector: the first step of the framework in `wholeframe.blocks.context`."""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wholeframe import ops
from wholeframe.blocks.arguments import divides, flags, integer, positive, similarity_scale
from wholeframe.blocks.plain import plain, refuse_changed
from wholeframe.blocks.recipe import Recorded


class Context(Protocol):
    """A module from a map to its summary: a vector, or a matrix for a transform that takes one."""

    def __call__(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b *summary"]: ...
    def reset_parameters(self) -> None: ...
    def multiply_adds(self, grid: Sequence[int]) -> int: ...


class Pooling(Recorded):
    """A context without weights and without matrix products."""

    def __init__(self, channels: int):
        super().__init__()
        integer("channels", channels)

    def reset_parameters(self) -> None:
        """Nothing to reset."""

    def multiply_adds(self, grid: Sequence[int]) -> int:
        return 0


class MeanContext(Pooling):
    """c = mean of all positions."""

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c"]:
        return ops.mean_context(x)


class MaxContext(Pooling):
    """c = maximum of all positions, for every channel."""

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c"]:
        return ops.max_context(x)


class MeanMaxContext(Pooling):
    """c = mean / 2 + max / 2 (timm's `add_maxpool`)."""

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c"]:
        return (ops.mean_context(x) + ops.max_context(x)) / 2


class MeanAndMaxContext(Pooling):
    """c = the mean and the maximum of all positions, as two vectors (CBAM)."""

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b 2 c"]:
        return torch.stack([ops.mean_context(x), ops.max_context(x)], dim=1)


class StdContext(Pooling):
    """c = sqrt(variance of all positions + eps), for every channel; eps gives a flat map a gradient."""

    def __init__(self, channels: int, *, eps: float = 1e-5):
        super().__init__(channels)
        positive("eps", eps, default=1e-5)
        self.eps = eps

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c"]:
        return ops.std_context(x, self.eps)


class AttentionContext(Recorded):
    """c = sum_j softmax_j(w_k x_j + b_k) x_j: attention with one learned query.

    With h heads, each head has c / h channels, its own softmax and its own sum, and all heads share w_k (MASTER's
    multi-aspect context, arXiv 1910.02562; mmocr's `GCAModule`).

    b_k changes neither output nor gradients, because a softmax does not depend on a common offset. The references have
    it, so it exists for their checkpoints.

    Args:
        channels: c.
        heads: h, a divisor of c.
        scale: of the logits: None, `"sqrt_dim"` for (c / h)^-1/2 (MASTER's `att_scale`), or a number.
        bias: whether b_k exists.

    Raises:
        ValueError: for a number of heads that does not divide the channels.
    """

    def __init__(self, channels: int, *, heads: int = 1, scale: ops.Scale = None, bias: bool = True):
        super().__init__()
        integer("channels", channels)
        flags(bias=bias)
        divides("heads", heads, "channels", channels)
        self.channels, self.heads = channels, heads
        similarity_scale(scale)
        self.scale = ops.resolve_scale(scale, channels // heads)
        self.logits = nn.Linear(channels // heads, 1, bias=bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        refuse_changed(self)
        nn.init.kaiming_normal_(self.logits.weight, mode="fan_in", nonlinearity="relu")
        if self.logits.bias is not None:
            nn.init.zeros_(self.logits.bias)

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c"]:
        if plain(self.logits):
            return self.with_map(x)[0]
        v = ops.wide(self._heads(x).flatten(2))
        heads = torch.bmm(v, self._called_weights(x)[:, :, None].to(v.dtype)).squeeze(2).to(x.dtype)
        return heads.unflatten(0, (x.shape[0], self.heads)).flatten(1)

    def with_map(
        self, x: Float[Tensor, "b c *grid"], norm: ops.Normed | None = None, overwrite: bool = False
    ) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c *grid"]]:
        """The context, and x for the fusion: see `ops.attention_context_and_map`. For plain `logits` only."""
        logits = self.logits
        w_k, b_k = logits.weight.squeeze(0), logits.bias
        query = w_k if self.scale == 1 else self.scale * w_k
        if self.heads == 1:
            return ops.attention_context_and_map(x, query, b_k, norm=norm, overwrite=overwrite)
        heads = ops.attention_context(self._heads(x), query, b_k)
        return heads.unflatten(0, (x.shape[0], self.heads)).flatten(1), x

    def weights(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b n"]:
        """The attention weights of the positions, averaged over heads."""
        if plain(self.logits):
            query = self.scale * self.logits.weight.squeeze(0)
            heads = ops.attention_weights(self._heads(x), query, self.logits.bias)
        else:
            heads = self._called_weights(x)
        return heads.unflatten(0, (x.shape[0], self.heads)).mean(dim=1)

    def _called_weights(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "bh n"]:
        """The weights of each head, with the layer of the logits called."""
        logits = self.logits(ops.to_positions(self._heads(x))).squeeze(2)
        return (self.scale * ops.wide(logits)).softmax(dim=1)

    def multiply_adds(self, grid: Sequence[int]) -> int:
        return 2 * self.channels * math.prod(grid)

    def _heads(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "bh ch *grid"]:
        return x.unflatten(1, (self.heads, -1)).flatten(0, 1)
