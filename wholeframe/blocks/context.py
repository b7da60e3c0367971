"""The three-step framework: context, transform, fusion (Cao et al., GCNet, 2019), and its published points."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.compiler import is_compiling
from torch.fx import Proxy

from wholeframe import ops
from wholeframe.blocks.arguments import flat_positions, integer, part
from wholeframe.blocks.contexts import AttentionContext, Context, MeanContext, MeanMaxContext
from wholeframe.blocks.init import Init, check_init
from wholeframe.blocks.inputs import leaf_or_refuse
from wholeframe.blocks.looks import FACTORS, Look
from wholeframe.blocks.plain import plain
from wholeframe.blocks.recipe import Recorded
from wholeframe.blocks.transforms import Activation, Bottleneck, ChannelConv, LinearTransform, Transform
from wholeframe.messages import one_of

Fusion = Literal["add", "multiply", "multiply_add"]
Gate = Literal["sigmoid", "hard_sigmoid", "twice_sigmoid"]
GATES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": F.hardsigmoid,
    "twice_sigmoid": lambda t: 2 * torch.sigmoid(t),
}


class ContextBlock(Recorded):
    """Summarise the map in one vector, transform it, and fuse the result with every position.

        z_i = x_i * gate(delta_m(context(x))) + delta_a(context(x))

    Input and output `(b, c, *grid)`, any rank of grid. `fusion="add"` has the sum only, `"multiply"` the product
    only; `"multiply_add"` has both, with a separate transform for each, and multiplies first (as mmcv, GCNet and timm
    do). Both transforms take the context of the unmodified x.
    Source: Cao et al., "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond", 2019
    (arXiv 1904.11492), section 3.

    Args:
        channels: c.
        context: `context(channels)` returns a `Context`.
        transform: `transform(channels)` returns a `Transform`.
        fusion: `"add"`, `"multiply"` or `"multiply_add"`.
        gate: function of a multiplying fusion; `"sigmoid"` and `"hard_sigmoid"` are 1/2 at zero, `"twice_sigmoid"`
            is 1 at zero.
        init: `"zero"` starts `expand`, the transform's last layer, at zero, as mmcv and GCNet do: the fresh block is an
            identity where it adds or multiplies by `"twice_sigmoid"`, and halves the map where it multiplies by a
            sigmoid. `"identity"` is the same, and refused where the block would halve the map. `"random"` leaves
            `expand` random.

    Raises:
        ValueError: for an unknown option, and for an `init` that the gate or the transform does not allow.
    """

    def __init__(
        self,
        channels: int,
        *,
        context: Callable[[int], Context],
        transform: Callable[[int], Transform],
        fusion: Fusion = "add",
        gate: Gate = "sigmoid",
        init: Init = "zero",
    ):
        super().__init__()
        integer("channels", channels)
        part("context", context, "MeanContext")
        part("transform", transform, "Bottleneck")
        one_of("fusion", fusion, ("add", "multiply", "multiply_add"))
        one_of("gate", gate, tuple(GATES))
        check_init(init, None if fusion == "add" else halving(gate))
        self.channels, self.fusion, self.gate, self.init = channels, fusion, gate, init
        self.context = context(channels)
        self.multiply = transform(channels) if fusion != "add" else None
        self.add = transform(channels) if fusion != "multiply" else None
        weights = [p for t in (self.multiply, self.add) if t is not None for p in t.expand.parameters()]
        if init != "random" and not weights:
            raise ValueError(
                f"init={init!r} starts the transform's last layer at zero, and this transform has none; "
                "take init='random'"
            )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return to the initial state, which a model-wide initialisation may have overwritten."""
        for module in (self.context, self.multiply, self.add):
            if module is not None:
                module.reset_parameters()
        if self.init != "random":
            for transform in (self.multiply, self.add):
                if transform is not None:
                    for parameter in transform.expand.parameters():
                        nn.init.zeros_(parameter)

    @property
    def identity_at_init(self) -> bool:
        """Whether a fresh block returns its input."""
        return self.init != "random" and (self.fusion == "add" or halving(self.gate) is None)

    @property
    def remark(self) -> str | None:
        """What the transform changed about a default that does not fit these channels; None for nothing."""
        return getattr(self.add if self.multiply is None else self.multiply, "remark", None)

    @property
    def has_attention(self) -> bool:
        """Whether the context has an attention map, which `attention` shows."""
        return isinstance(self.context, AttentionContext)

    def forward(self, x: Float[Tensor, "b c *grid"], overwrite: bool = False) -> Float[Tensor, "b c *grid"]:
        """The block. With `overwrite`, whose caller needs x no more, z takes its place in memory where it can."""
        if (
            isinstance(x, Proxy)
            or x.ndim < 3
            or x.shape[1] != self.channels
            or not x.is_floating_point()
            or 0 in x.shape[2:]
        ):
            return leaf_or_refuse(self, x)
        context, multiply, add = self.context, self.multiply, self.add
        attention = context if isinstance(context, AttentionContext) and plain(context, context.logits) else None
        recorded = torch.is_grad_enabled() and not is_compiling()  # a graph has no nodes of autograd
        norm = ops.normed(x) if recorded and x.grad_fn is not None else None
        if overwrite and torch.is_grad_enabled():
            keeps_no_map = type(context) is MeanContext if attention is None else attention.heads == 1
            overwrite = norm is not None and keeps_no_map and ops.by_hand(x)
        summary, z = (context(x), x) if attention is None else attention.with_map(x, norm, overwrite)
        if multiply is not None:
            gate = GATES[self.gate](multiply(summary))
            z = ops.gated(z, gate, norm=norm, overwrite=overwrite and gate.dtype == x.dtype)
        if add is not None:
            vector = add(summary).view(*x.shape[:2], *(1,) * (x.ndim - 2))
            z = z.add_(vector) if overwrite and vector.dtype == z.dtype else z + vector
        return z

    def attention(
        self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]
    ) -> Float[Tensor, "b q *grid"]:
        """The attention weights over the grid: the same map for every query, which is GCNet's observation.

        Args:
            x: the map.
            query: flat positions.

        Raises:
            ValueError: for a context without attention, and for a single number instead of a list of queries.
        """
        if not isinstance(self.context, AttentionContext):
            raise ValueError(
                f"{type(self.context).__name__} weighs all positions alike, so there is no attention to show; "
                "take a context with attention, such as GlobalContext(channels)"
            )
        count = len(flat_positions(query, x.device))
        return self.context.weights(x)[:, None].expand(-1, count, -1).unflatten(2, x.shape[2:])

    def looks(self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]) -> tuple[Look, ...]:
        """The one map of the context, if it has attention, and the factor of every channel, if the block multiplies."""
        shared = (Look("shared", self.attention(x, [0])[:, 0]),) if self.has_attention else ()
        gates = () if self.multiply is None else (Look("channel", self.gates(x), FACTORS["channel"]),)
        return shared + gates

    def gates(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c"]:
        """The factor of every channel of x (of GSoP, `Bottleneck.chan_att`). ValueError for a block that only adds."""
        if self.multiply is None:
            raise ValueError(f"fusion={self.fusion!r} multiplies no channel, so there is no factor to show")
        return GATES[self.gate](self.multiply(self.context(x)))

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """Multiply-adds of one sample: the context's products and the transforms, without broadcasting."""
        transforms = [transform for transform in (self.multiply, self.add) if transform is not None]
        return self.context.multiply_adds(grid) + sum(transform.multiply_adds() for transform in transforms)

    def extra_repr(self) -> str:
        return f"{self.channels}, fusion={self.fusion!r}, gate={self.gate!r}, init={self.init!r}"


def halving(gate: str) -> str | None:
    """Why a zero-initialised gate is not an identity, or None where it is."""
    if gate == "twice_sigmoid":
        return None
    return f"gate={gate!r} is 1/2 at zero and would halve the map; take gate='twice_sigmoid'"


# --------------------------------------------------------------------------------------------------- published points


class GlobalContext(ContextBlock):
    """The GC block: z_i = x_i + W_2 relu(LN(W_1 sum_j softmax_j(w_k x_j) x_j)).

    Source: Cao et al., 2019 (arXiv 1904.11492). Its published place is before the residual sum of every block of
    c3, c4 and c5 (`layer[2-4].*.bn3` of a torchvision ResNet-50).

    *Where references disagree* (each is an argument): timm multiplies by default (`fusion="multiply"`), takes
    `ratio=1/8`, `eps=1e-6` and random biases at initialisation; mmcv and GCNet have no default ratio, papers use 1/16
    and 1/4.

    Args:
        channels: c.
        ratio, min_hidden, hidden, norm, eps: of the bottleneck transform, see `Bottleneck`.
        context: `"attention"`, or `"mean"` (the paper's average pooling).
        activation: of the bottleneck transform; timm's EfficientNets take `"silu"`.
        fusion, gate, init: see `ContextBlock`. `init="zero"` is an identity for `fusion="add"`; for the fusions that
            multiply it is one with `gate="twice_sigmoid"`.

    Raises:
        ValueError: for an unknown option.
    """

    def __init__(
        self,
        channels: int,
        *,
        ratio: float = 1 / 16,
        min_hidden: int = 2,
        hidden: int | None = None,
        context: Literal["attention", "mean"] = "attention",
        fusion: Fusion = "add",
        gate: Gate = "sigmoid",
        norm: Literal["ln", "bn"] | None = "ln",
        eps: float = 1e-5,
        activation: Activation = "relu",
        init: Init = "zero",
    ):
        one_of("context", context, ("attention", "mean"))
        width = {"ratio": ratio, "min_hidden": min_hidden, "hidden": hidden}
        super().__init__(
            channels,
            context={"attention": AttentionContext, "mean": MeanContext}[context],
            transform=lambda c: Bottleneck(c, **width, norm=norm, eps=eps, activation=activation),
            fusion=fusion,
            gate=gate,
            init=init,
        )


class SimplifiedNonLocal(ContextBlock):
    """The SNL block: z_i = x_i + W_v sum_j softmax_j(w_k x_j) x_j.

    All queries share one attention map, and the value projection follows the sum (equal by linearity, since the
    weights sum to one). Source: Cao et al., 2019, section 3.2. No code was released; the published parameter counts
    show that W_v is a full c x c matrix.

    Args:
        channels: c.
        init: see `ContextBlock`.
    """

    def __init__(self, channels: int, *, init: Init = "identity"):
        super().__init__(channels, context=AttentionContext, transform=LinearTransform, fusion="add", init=init)


class SqueezeExcite(ContextBlock):
    """The SE block: z_i = x_i * sigmoid(W_2 relu(W_1 mean_j x_j)).

    Source: Hu et al., "Squeeze-and-Excitation Networks" (arXiv 1709.01507). Its published place is the branch of a
    residual block before the sum.

    *Where references disagree* (each is an argument): the authors' layers and torchvision's have biases, those of
    moskomule/senet.pytorch have none; timm rounds the hidden width to multiples of 8 and may add a batch norm, or half
    the maximum to half the mean.

    Args:
        channels: c.
        ratio, min_hidden, hidden, norm, bias, activation: of the bottleneck transform, see `Bottleneck`.
        context: `"mean"`, or `"mean_max"` (timm's `add_maxpool`).
        gate, init: see `ContextBlock`. The published gate is about 1/2 in a fresh block;
            `gate="twice_sigmoid", init="identity"` starts as an identity.
    """

    def __init__(
        self,
        channels: int,
        *,
        ratio: float = 1 / 16,
        min_hidden: int = 2,
        hidden: int | None = None,
        norm: Literal["ln", "bn"] | None = None,
        bias: bool = True,
        activation: Activation = "relu",
        context: Literal["mean", "mean_max"] = "mean",
        gate: Gate = "sigmoid",
        init: Init = "random",
    ):
        one_of("context", context, ("mean", "mean_max"))
        width = {"ratio": ratio, "min_hidden": min_hidden, "hidden": hidden}
        super().__init__(
            channels,
            context={"mean": MeanContext, "mean_max": MeanMaxContext}[context],
            transform=lambda c: Bottleneck(c, **width, norm=norm, bias=bias, activation=activation),
            fusion="multiply",
            gate=gate,
            init=init,
        )


class EffectiveSqueezeExcite(ContextBlock):
    """The eSE block: z_i = x_i * hardsigmoid(W mean_j x_j + b), without the bottleneck of SE.

    Source: Lee & Park, "CenterMask", CVPR 2020 (arXiv 1911.06667), section 3.3.

    Args:
        channels: c.
        gate, init: see `ContextBlock`; timm has the gate as an argument too. torch has no second derivative of the
            hard sigmoid, so a gradient penalty needs `gate="sigmoid"`.
    """

    def __init__(self, channels: int, *, gate: Gate = "hard_sigmoid", init: Init = "random"):
        super().__init__(
            channels, context=MeanContext, transform=LinearTransform, fusion="multiply", gate=gate, init=init
        )


class EfficientChannelAttention(ContextBlock):
    """The ECA block: z_i = x_i * sigmoid(w * mean_j x_j), a convolution over neighbouring channels.

    Source: Wang et al., "ECA-Net", CVPR 2020 (arXiv 1910.03151).

    Args:
        channels: c.
        kernel: width of the convolution, odd; None for the width of the formula in `ChannelConv`.
        gate, init: see `ContextBlock`.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel: int | None = None,
        gate: Gate = "sigmoid",
        init: Init = "random",
    ):
        super().__init__(
            channels,
            context=MeanContext,
            transform=lambda c: ChannelConv(c, kernel=kernel),
            fusion="multiply",
            gate=gate,
            init=init,
        )
