"""Contexts: a whole map as one vector, the first step of the framework in `wholeframe.blocks.context`."""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wholeframe import ops


class Context(Protocol):
    """A module from a map to one summary: a vector, or a matrix where its transform takes one."""

    def __call__(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b *summary"]: ...
    def reset_parameters(self) -> None: ...
    def multiply_adds(self, grid: Sequence[int]) -> int: ...


class Pooling(nn.Module):
    """A context without weights and without products."""

    def __init__(self, channels: int):
        super().__init__()

    def reset_parameters(self) -> None:
        """Nothing to reset."""

    def multiply_adds(self, grid: Sequence[int]) -> int:
        return 0


class MeanContext(Pooling):
    """c = mean of all positions."""

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c"]:
        return ops.mean_context(x)


class MaxContext(Pooling):
    """c = the largest of all positions, for every channel."""

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
    """c = the standard deviation over positions, with eps under the root, where a flat map would have no gradient."""

    def __init__(self, channels: int, *, eps: float = 1e-5):
        super().__init__(channels)
        self.eps = eps

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c"]:
        return ops.std_context(x, self.eps)


class AttentionContext(nn.Module):
    """c = sum_j softmax_j(w_k x_j + b_k) x_j: attention with one learned query.

    With h heads, each has c / h channels, its own softmax and its own sum, and all share w_k (MASTER's multi-aspect
    context, arXiv 1910.02562; mmocr's `GCAModule`).

    b_k never changes the output (a softmax is blind to it) and never gets a gradient; the references have it,
    so it is kept for their checkpoints.

    Args:
        channels: c.
        heads: h, a divisor of c.
        scale: of the logits: None, `"sqrt_dim"` for (c / h)^-1/2 (MASTER's `att_scale`), or a number.
        bias: whether there is b_k.
    """

    def __init__(self, channels: int, *, heads: int = 1, scale: ops.Scale = None, bias: bool = True):
        super().__init__()
        if heads < 1 or channels % heads:
            divisors = ", ".join(str(h) for h in range(1, min(channels, 32) + 1) if channels % h == 0)
            raise ValueError(f"heads={heads} does not divide channels={channels}; {divisors} do")
        self.channels, self.heads = channels, heads
        self.scale = ops.resolve_scale(scale, channels // heads)
        self.logits = nn.Linear(channels // heads, 1, bias=bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.kaiming_normal_(self.logits.weight, mode="fan_in", nonlinearity="relu")
        if self.logits.bias is not None:
            nn.init.zeros_(self.logits.bias)

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c"]:
        return self.beside(x)[0]

    def beside(self, x: Float[Tensor, "b c *grid"]) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c *grid"]]:
        """The context, and x for the fusion: see `ops.attention_context_beside`."""
        if self.heads == 1:
            return ops.attention_context_beside(x, *self._query())
        heads = ops.attention_context(self._heads(x), *self._query())
        return heads.unflatten(0, (x.shape[0], self.heads)).flatten(1), x

    def weights(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b n"]:
        """The weights of the positions, the mean over heads."""
        heads = ops.attention_weights(self._heads(x), *self._query())
        return heads.unflatten(0, (x.shape[0], self.heads)).mean(dim=1)

    def multiply_adds(self, grid: Sequence[int]) -> int:
        return 2 * self.channels * math.prod(grid)

    def _heads(self, x):
        return x.unflatten(1, (self.heads, -1)).flatten(0, 1)

    def _query(self):
        logits = self.logits
        weight = logits.weight.squeeze(0)
        return weight if self.scale == 1 else self.scale * weight, logits.bias
