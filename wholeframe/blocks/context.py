"""The three-step framework: context, transform, fusion (Cao et al., GCNet, 2019), and its named points."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from wholeframe import ops
from wholeframe.blocks.options import one_of

Fusion = Literal["add", "multiply", "multiply_add"]
Gate = Literal["sigmoid", "hard_sigmoid", "twice_sigmoid"]
GATES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": F.hardsigmoid,
    "twice_sigmoid": lambda t: 2 * torch.sigmoid(t),
}


class Context(Protocol):
    """A module from all positions to one summary: a vector, or a matrix where its transform takes one."""

    def __call__(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b *summary"]: ...
    def reset_parameters(self) -> None: ...
    def multiply_adds(self, n: int) -> int: ...


class Transform(Protocol):
    """A module from the summary to one vector that ends with the linear layer `expand`."""

    expand: nn.Linear

    def __call__(self, c: Float[Tensor, "b *summary"]) -> Float[Tensor, "b c"]: ...
    def reset_parameters(self) -> None: ...
    def multiply_adds(self) -> int: ...


class ContextBlock(nn.Module):
    """One vector summarises the map, is transformed, and is given back to every position.

        z_i = x_i * gate(delta_m(context(x))) + delta_a(context(x))

    Input and output `(b, c, *grid)`, any rank of grid. `fusion="add"` has the sum only, `"multiply"` the product
    only; `"multiply_add"` has both, with a transform of its own for each, multiplying first (as mmcv, GCNet and
    timm do). Both transforms see the context of the unmodified x.
    Source: Cao et al., "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond", 2019
    (arXiv 1904.11492), section 3.

    Args:
        channels: c.
        context: `context(channels)` gives a `Context`.
        transform: `transform(channels)` gives a `Transform`.
        fusion: `"add"`, `"multiply"` or `"multiply_add"`.
        gate: what a multiplying fusion applies to its transform; `"sigmoid"` and `"hard_sigmoid"` are 1/2 at
            zero, `"twice_sigmoid"` is 1 at zero.
        birth: `"zero"` starts `expand` at zero: adding is then an identity, multiplying by `"twice_sigmoid"`
            too, and multiplying by a sigmoid halves the map exactly. `"random"` leaves it random.
    """

    def __init__(
        self,
        channels: int,
        *,
        context: Callable[[int], Context],
        transform: Callable[[int], Transform],
        fusion: Fusion = "add",
        gate: Gate = "sigmoid",
        birth: Literal["zero", "random"] = "zero",
    ):
        super().__init__()
        one_of("fusion", fusion, ("add", "multiply", "multiply_add"))
        one_of("gate", gate, tuple(GATES))
        one_of("birth", birth, ("zero", "random"))
        self.channels, self.fusion, self.gate, self.birth = channels, fusion, gate, birth
        self.context = context(channels)
        self.multiply = transform(channels) if fusion != "add" else None
        self.add = transform(channels) if fusion != "multiply" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Back to birth: what a model-wide initialisation may have overwritten."""
        for part in (self.context, self.multiply, self.add):
            if part is not None:
                part.reset_parameters()
        if self.birth == "zero":
            for transform in (self.multiply, self.add):
                if transform is not None:
                    for parameter in transform.expand.parameters():
                        nn.init.zeros_(parameter)

    @property
    def identity_at_birth(self) -> bool:
        """Whether a fresh block returns its input."""
        return self.birth == "zero" and (self.fusion == "add" or self.gate == "twice_sigmoid")

    @property
    def attends(self) -> bool:
        """Whether `attention` has something to show."""
        return isinstance(self.context, AttentionContext)

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        context = self.context(self.positions(x))
        everywhere = (..., *[None] * (x.ndim - 2))
        z = x
        if self.multiply is not None:
            z = z * GATES[self.gate](self.multiply(context))[everywhere]
        if self.add is not None:
            z = z + self.add(context)[everywhere]
        return z

    def positions(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b n c"]:
        """What the context looks at."""
        return ops.to_positions(x)

    def attention(
        self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]
    ) -> Float[Tensor, "b q *grid"]:
        """The weights of the context over the grid: the same map for every query, which is the point of GCNet."""
        if not isinstance(self.context, AttentionContext):
            raise ValueError(
                f"{type(self.context).__name__} weighs all positions alike, so there is no attention to show; "
                "take a context that attends, such as GlobalContext(channels)"
            )
        weights = self.context.weights(ops.to_positions(x))
        return weights[:, None].expand(-1, len(query), -1).unflatten(2, x.shape[2:])

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """Multiply-adds of one sample: the context's products and the transforms (no broadcasting, as counters)."""
        parts = [part for part in (self.multiply, self.add) if part is not None]
        return self.context.multiply_adds(math.prod(grid)) + sum(part.multiply_adds() for part in parts)

    def extra_repr(self) -> str:
        return f"{self.channels}, fusion={self.fusion!r}, gate={self.gate!r}, birth={self.birth!r}"


# ------------------------------------------------------------------------------------------------------- contexts


class MeanContext(nn.Module):
    """c = mean of all positions."""

    def __init__(self, channels: int):
        super().__init__()

    def reset_parameters(self) -> None:
        """Nothing to reset."""

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b c"]:
        return ops.mean_context(x)

    def multiply_adds(self, n: int) -> int:
        return 0


class AttentionContext(nn.Module):
    """c = sum_j softmax_j(w_k x_j + b_k) x_j: attention with one learned query.

    b_k never changes the output (a softmax is blind to it) and never gets a gradient; the references have it,
    so it is kept for their checkpoints.
    """

    def __init__(self, channels: int, *, bias: bool = True):
        super().__init__()
        self.channels = channels
        self.logits = nn.Linear(channels, 1, bias=bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.kaiming_normal_(self.logits.weight, mode="fan_in", nonlinearity="relu")
        if self.logits.bias is not None:
            nn.init.zeros_(self.logits.bias)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b c"]:
        return ops.attention_context(x, self.logits.weight[0], self.logits.bias)

    def weights(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n"]:
        return ops.attention_weights(x, self.logits.weight[0], self.logits.bias)

    def multiply_adds(self, n: int) -> int:
        return 2 * self.channels * n


# ----------------------------------------------------------------------------------------------------- transforms


class LinearTransform(nn.Module):
    """delta(c) = W_v c + b: the transform of SNL and of eSE."""

    def __init__(self, channels: int, *, bias: bool = True):
        super().__init__()
        self.expand = nn.Linear(channels, channels, bias=bias)

    def reset_parameters(self) -> None:
        self.expand.reset_parameters()

    def forward(self, c: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
        return self.expand(c)

    def multiply_adds(self) -> int:
        return self.expand.weight.numel()


class Bottleneck(nn.Module):
    """delta(c) = W_2 relu(norm(W_1 c + b_1)) + b_2 with p hidden channels: the transform of GC and SE.

    Args:
        channels: c.
        ratio: p / c, a fraction: p = int(channels * ratio), truncated as in mmcv.
        hidden: p itself, instead of a ratio.
        norm: over the hidden channels, `"ln"` (GC), `"bn"` or None (SE).
        eps: of the norm: 1e-5 in mmcv and GCNet, 1e-6 in timm.
        bias: of both layers.
    """

    def __init__(
        self,
        channels: int,
        *,
        ratio: float = 1 / 16,
        hidden: int | None = None,
        norm: Literal["ln", "bn"] | None = "ln",
        eps: float = 1e-5,
        bias: bool = True,
    ):
        super().__init__()
        one_of("norm", norm, ("ln", "bn", None))
        p = hidden_width(channels, ratio) if hidden is None else hidden
        if p < 1:
            raise ValueError(f"hidden={p} is no width; give a number from 1, such as {max(channels // 16, 2)}")
        self.reduce = nn.Linear(channels, p, bias=bias)
        self.norm = {"ln": nn.LayerNorm, "bn": nn.BatchNorm1d}[norm](p, eps=eps) if norm else None
        self.expand = nn.Linear(p, channels, bias=bias)

    def reset_parameters(self) -> None:
        for layer in (self.reduce, self.norm, self.expand):
            if layer is not None:
                layer.reset_parameters()

    def forward(self, c: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
        hidden = self.reduce(c)
        if self.norm is not None:
            hidden = self.norm(hidden)
        return self.expand(F.relu(hidden))

    def multiply_adds(self) -> int:
        return self.reduce.weight.numel() + self.expand.weight.numel()


def hidden_width(channels: int, ratio: float) -> int:
    """int(channels * ratio), refused where it is below 2 or where the ratio is not a fraction."""
    if not 0 < ratio <= 1:
        raise ValueError(
            f"ratio={ratio:g} is the hidden width over the channels, a fraction; did you mean 1/{ratio:g}?"
        )
    hidden = int(channels * ratio)
    if hidden < 2:
        raise ValueError(
            f"ratio={ratio:g} of channels={channels} leaves {hidden} hidden channels; one channel is constant after "
            f"a layer norm, and the block would not see its input: give ratio >= {2 / channels:g}, or hidden=1 to "
            "load a checkpoint that was trained so"
        )
    return hidden


# --------------------------------------------------------------------------------------------------- named points


class GlobalContext(ContextBlock):
    """The GC block: z_i = x_i + W_2 relu(LN(W_1 sum_j softmax_j(w_k x_j) x_j)).

    Source: Cao et al., 2019 (arXiv 1904.11492). Its published place is before the residual sum of every block of
    c3, c4 and c5 (`layer[2-4].*.bn3` of a torchvision ResNet-50).

    Where references disagree (each is an argument): timm multiplies by default (`fusion="multiply"`), takes
    `ratio=1/8`, `eps=1e-6` and random biases at birth; mmcv and GCNet have no default ratio, papers use 1/16 and 1/4.

    Args:
        channels: c.
        ratio, hidden, norm, eps: of the bottleneck transform, see `Bottleneck`.
        context: `"attention"`, or `"mean"` (the paper's average pooling).
        fusion, gate, birth: see `ContextBlock`.
    """

    def __init__(
        self,
        channels: int,
        *,
        ratio: float = 1 / 16,
        hidden: int | None = None,
        context: Literal["attention", "mean"] = "attention",
        fusion: Fusion = "add",
        gate: Gate = "sigmoid",
        norm: Literal["ln", "bn"] | None = "ln",
        eps: float = 1e-5,
        birth: Literal["zero", "random"] = "zero",
    ):
        one_of("context", context, ("attention", "mean"))
        super().__init__(
            channels,
            context={"attention": AttentionContext, "mean": MeanContext}[context],
            transform=lambda c: Bottleneck(c, ratio=ratio, hidden=hidden, norm=norm, eps=eps),
            fusion=fusion,
            gate=gate,
            birth=birth,
        )


class SimplifiedNonLocal(ContextBlock):
    """The SNL block: z_i = x_i + W_v sum_j softmax_j(w_k x_j) x_j.

    One attention map for all queries, and the value projection moved behind the sum (equal by linearity, and
    the softmax sums to one). Source: Cao et al., 2019, section 3.2; no code was released, the published parameter
    counts show that W_v is a full c x c matrix.

    Args:
        channels: c.
        birth: see `ContextBlock`.
    """

    def __init__(self, channels: int, *, birth: Literal["zero", "random"] = "zero"):
        super().__init__(channels, context=AttentionContext, transform=LinearTransform, fusion="add", birth=birth)


class SqueezeExcite(ContextBlock):
    """The SE block: z_i = x_i * sigmoid(W_2 relu(W_1 mean_j x_j)).

    Source: Hu et al., "Squeeze-and-Excitation Networks" (arXiv 1709.01507). Its place is the branch of a residual
    block before the sum.

    Where references disagree (each is an argument): the authors' layers and torchvision's have biases, those of
    moskomule/senet.pytorch have none; timm rounds the hidden width to multiples of 8 and may add a batch norm.

    Args:
        channels: c.
        ratio, hidden, norm, bias: of the bottleneck transform, see `Bottleneck`.
        gate, birth: see `ContextBlock`. The papers' gate halves a fresh branch, more or less;
            `gate="twice_sigmoid", birth="zero"` starts as an identity.
    """

    def __init__(
        self,
        channels: int,
        *,
        ratio: float = 1 / 16,
        hidden: int | None = None,
        norm: Literal["ln", "bn"] | None = None,
        bias: bool = True,
        gate: Gate = "sigmoid",
        birth: Literal["zero", "random"] = "random",
    ):
        super().__init__(
            channels,
            context=MeanContext,
            transform=lambda c: Bottleneck(c, ratio=ratio, hidden=hidden, norm=norm, bias=bias),
            fusion="multiply",
            gate=gate,
            birth=birth,
        )
