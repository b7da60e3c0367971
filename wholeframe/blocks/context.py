"""The three-step framework: context, transform, fusion (Cao et al., GCNet, 2019), and its named points."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from wholeframe import ops
from wholeframe.blocks.contexts import AttentionContext, Context, MeanContext, MeanMaxContext
from wholeframe.blocks.transforms import Activation, Bottleneck, ChannelConv, LinearTransform, Transform
from wholeframe.messages import one_of

Fusion = Literal["add", "multiply", "multiply_add"]
Gate = Literal["sigmoid", "hard_sigmoid", "twice_sigmoid"]
GATES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": F.hardsigmoid,
    "twice_sigmoid": lambda t: 2 * torch.sigmoid(t),
}


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
        init: `"zero"` starts `expand`, the transform's last layer, at zero: adding is then an identity, multiplying
            by `"twice_sigmoid"` too, and multiplying by a sigmoid halves the map exactly. `"random"` leaves it
            random.
    """

    def __init__(
        self,
        channels: int,
        *,
        context: Callable[[int], Context],
        transform: Callable[[int], Transform],
        fusion: Fusion = "add",
        gate: Gate = "sigmoid",
        init: Literal["zero", "random"] = "zero",
    ):
        super().__init__()
        one_of("fusion", fusion, ("add", "multiply", "multiply_add"))
        one_of("gate", gate, tuple(GATES))
        one_of("init", init, ("zero", "random"))
        self.channels, self.fusion, self.gate, self.init = channels, fusion, gate, init
        self.context = context(channels)
        self.multiply = transform(channels) if fusion != "add" else None
        self.add = transform(channels) if fusion != "multiply" else None
        weights = [p for t in (self.multiply, self.add) if t is not None for p in t.expand.parameters()]
        if init == "zero" and not weights:
            raise ValueError(
                "init='zero' starts the transform's last layer at zero, and this transform has none; init='random'"
            )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return to the initial state, which a model-wide initialisation may have overwritten."""
        for part in (self.context, self.multiply, self.add):
            if part is not None:
                part.reset_parameters()
        if self.init == "zero":
            for transform in (self.multiply, self.add):
                if transform is not None:
                    for parameter in transform.expand.parameters():
                        nn.init.zeros_(parameter)

    @property
    def identity_at_init(self) -> bool:
        """Whether a fresh block returns its input."""
        return self.init == "zero" and (self.fusion == "add" or self.gate == "twice_sigmoid")

    @property
    def has_attention(self) -> bool:
        """Whether `attention` has something to show."""
        return isinstance(self.context, AttentionContext)

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        context, multiply, add = self.context, self.multiply, self.add
        if isinstance(context, AttentionContext):
            summary, z = context.beside(x)
        else:
            summary, z = context(x), x
        if multiply is not None:
            z = ops.gated(z, GATES[self.gate](multiply(summary)))
        if add is not None:
            z = z + ops.everywhere(add(summary), x)
        return z

    def attention(
        self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]
    ) -> Float[Tensor, "b q *grid"]:
        """The weights of the context over the grid: the same map for every query, which is the point of GCNet."""
        if not isinstance(self.context, AttentionContext):
            raise ValueError(
                f"{type(self.context).__name__} weighs all positions alike, so there is no attention to show; "
                "take a context that attends, such as GlobalContext(channels)"
            )
        weights = self.context.weights(x)
        return weights[:, None].expand(-1, len(query), -1).unflatten(2, x.shape[2:])

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """Multiply-adds of one sample: the context's products and the transforms (no broadcasting, as counters)."""
        parts = [part for part in (self.multiply, self.add) if part is not None]
        return self.context.multiply_adds(grid) + sum(part.multiply_adds() for part in parts)

    def extra_repr(self) -> str:
        return f"{self.channels}, fusion={self.fusion!r}, gate={self.gate!r}, init={self.init!r}"


# --------------------------------------------------------------------------------------------------- named points


class GlobalContext(ContextBlock):
    """The GC block: z_i = x_i + W_2 relu(LN(W_1 sum_j softmax_j(w_k x_j) x_j)).

    Source: Cao et al., 2019 (arXiv 1904.11492). Its published place is before the residual sum of every block of
    c3, c4 and c5 (`layer[2-4].*.bn3` of a torchvision ResNet-50).

    Where references disagree (each is an argument): timm multiplies by default (`fusion="multiply"`), takes
    `ratio=1/8`, `eps=1e-6` and random biases at initialisation; mmcv and GCNet have no default ratio, papers use 1/16 and 1/4.

    Args:
        channels: c.
        ratio, hidden, norm, eps: of the bottleneck transform, see `Bottleneck`.
        context: `"attention"`, or `"mean"` (the paper's average pooling).
        activation: of the bottleneck transform; timm's EfficientNets take `"silu"`.
        fusion, gate, init: see `ContextBlock`.
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
        activation: Activation = "relu",
        init: Literal["zero", "random"] = "zero",
    ):
        one_of("context", context, ("attention", "mean"))
        super().__init__(
            channels,
            context={"attention": AttentionContext, "mean": MeanContext}[context],
            transform=lambda c: Bottleneck(c, ratio=ratio, hidden=hidden, norm=norm, eps=eps, activation=activation),
            fusion=fusion,
            gate=gate,
            init=init,
        )


class SimplifiedNonLocal(ContextBlock):
    """The SNL block: z_i = x_i + W_v sum_j softmax_j(w_k x_j) x_j.

    One attention map for all queries, and the value projection moved behind the sum (equal by linearity, and
    the softmax sums to one). Source: Cao et al., 2019, section 3.2; no code was released, the published parameter
    counts show that W_v is a full c x c matrix.

    Args:
        channels: c.
        init: see `ContextBlock`.
    """

    def __init__(self, channels: int, *, init: Literal["zero", "random"] = "zero"):
        super().__init__(channels, context=AttentionContext, transform=LinearTransform, fusion="add", init=init)


class SqueezeExcite(ContextBlock):
    """The SE block: z_i = x_i * sigmoid(W_2 relu(W_1 mean_j x_j)).

    Source: Hu et al., "Squeeze-and-Excitation Networks" (arXiv 1709.01507). Its place is the branch of a residual
    block before the sum.

    Where references disagree (each is an argument): the authors' layers and torchvision's have biases, those of
    moskomule/senet.pytorch have none; timm rounds the hidden width to multiples of 8 and may add a batch norm, or half
    the maximum to half the mean.

    Args:
        channels: c.
        ratio, hidden, norm, bias, activation: of the bottleneck transform, see `Bottleneck`.
        context: `"mean"`, or `"mean_max"` (timm's `add_maxpool`).
        gate, init: see `ContextBlock`. The papers' gate halves a fresh branch, more or less;
            `gate="twice_sigmoid", init="zero"` starts as an identity.
    """

    def __init__(
        self,
        channels: int,
        *,
        ratio: float = 1 / 16,
        hidden: int | None = None,
        norm: Literal["ln", "bn"] | None = None,
        bias: bool = True,
        activation: Activation = "relu",
        context: Literal["mean", "mean_max"] = "mean",
        gate: Gate = "sigmoid",
        init: Literal["zero", "random"] = "random",
    ):
        one_of("context", context, ("mean", "mean_max"))
        super().__init__(
            channels,
            context={"mean": MeanContext, "mean_max": MeanMaxContext}[context],
            transform=lambda c: Bottleneck(c, ratio=ratio, hidden=hidden, norm=norm, bias=bias, activation=activation),
            fusion="multiply",
            gate=gate,
            init=init,
        )


class EffectiveSqueezeExcite(ContextBlock):
    """The eSE block: z_i = x_i * hardsigmoid(W mean_j x_j + b), without a bottleneck to lose channels in.

    Source: Lee & Park, "CenterMask", CVPR 2020 (arXiv 1911.06667), section 3.3.

    Args:
        channels: c.
        gate, init: see `ContextBlock`; timm lets the gate be chosen.
    """

    def __init__(self, channels: int, *, gate: Gate = "hard_sigmoid", init: Literal["zero", "random"] = "random"):
        super().__init__(
            channels, context=MeanContext, transform=LinearTransform, fusion="multiply", gate=gate, init=init
        )


class EfficientChannelAttention(ContextBlock):
    """The ECA block: z_i = x_i * sigmoid(w * mean_j x_j), a convolution over neighbouring channels.

    Source: Wang et al., "ECA-Net", CVPR 2020 (arXiv 1910.03151).

    Args:
        channels: c.
        kernel: its width, odd; None for that of the paper's formula, see `ChannelConv`.
        gate, init: see `ContextBlock`.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel: int | None = None,
        gate: Gate = "sigmoid",
        init: Literal["zero", "random"] = "random",
    ):
        super().__init__(
            channels,
            context=MeanContext,
            transform=lambda c: ChannelConv(c, kernel=kernel),
            fusion="multiply",
            gate=gate,
            init=init,
        )
