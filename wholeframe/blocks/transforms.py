"""Transforms map the summary to one vector: the second step of the framework in `wholeframe.blocks.context`."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wholeframe.blocks.arguments import flags, integer, odd, positive
from wholeframe.blocks.plain import plain, refuse_changed
from wholeframe.blocks.recipe import Recorded
from wholeframe.messages import one_of

Activation = Literal["relu", "silu"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "silu": F.silu}


class Transform(Protocol):
    """A module from the summary to one vector. Its last layer is `expand`; where that is zero, so is the vector."""

    @property
    def expand(self) -> nn.Module: ...
    def __call__(self, c: Float[Tensor, "b *summary"]) -> Float[Tensor, "b c"]: ...
    def reset_parameters(self) -> None: ...
    def multiply_adds(self) -> int: ...


class IdentityTransform(Recorded):
    """delta(c) = c: gather-excite without weights (Hu et al., 2018, theta minus)."""

    def __init__(self, channels: int):
        super().__init__()
        self.expand = nn.Identity()

    def reset_parameters(self) -> None:
        """Nothing to reset."""

    def forward(self, c: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
        return c

    def multiply_adds(self) -> int:
        return 0


class LinearTransform(Recorded):
    """delta(c) = W_v c + b: the transform of SNL and of eSE."""

    def __init__(self, channels: int, *, bias: bool = True):
        super().__init__()
        integer("channels", channels)
        flags(bias=bias)
        self.channels = channels
        self.expand = nn.Linear(channels, channels, bias=bias)

    def reset_parameters(self) -> None:
        refuse_changed(self)
        self.expand.reset_parameters()

    def forward(self, c: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
        return self.expand(c)

    def multiply_adds(self) -> int:
        return self.channels**2


class Bottleneck(Recorded):
    """delta(c) = W_2 relu(norm(W_1 c + b_1)) + b_2 with p hidden channels: the transform of GC and SE.

    Args:
        channels: c.
        ratio: p / c, a fraction: p = int(channels * ratio), truncated as in mmcv, and at least `min_hidden`.
        min_hidden: the least p of a ratio. 2, because one channel is constant after a layer norm, and because a larger
            number would change p for maps of 32 to 63 channels, whose checkpoints have 2 or 3.
        hidden: p itself, instead of a ratio.
        norm: over the hidden channels, `"ln"` (GC), `"bn"` or None (SE).
        eps: of the norm: 1e-5 in mmcv and GCNet, 1e-6 in timm.
        bias: whether both layers have biases.
        activation: between them, `"relu"` or `"silu"`.

    Raises:
        ValueError: for an unknown option, and for a ratio that is not a fraction.
    """

    remark: str | None = None

    def __init__(
        self,
        channels: int,
        *,
        ratio: float = 1 / 16,
        min_hidden: int = 2,
        hidden: int | None = None,
        norm: Literal["ln", "bn"] | None = "ln",
        eps: float = 1e-5,
        bias: bool = True,
        activation: Activation = "relu",
    ):
        super().__init__()
        one_of("norm", norm, ("ln", "bn", None))
        one_of("activation", activation, tuple(ACTIVATIONS))
        integer("channels", channels)
        flags(bias=bias)
        p = hidden_width(channels, ratio, min_hidden) if hidden is None else hidden
        integer("hidden", p)
        if hidden is None and p != int(channels * ratio):
            self.remark = (
                f"{p} hidden channels: ratio {Fraction(ratio).limit_denominator(1000)} of {channels} channels gives "
                f"{int(channels * ratio)}, and min_hidden is {min_hidden}"
            )
        positive("eps", eps, default=1e-5)
        self.channels, self.hidden, self.activation = channels, p, activation
        self.reduce = nn.Linear(channels, p, bias=bias)
        self.norm = {"ln": nn.LayerNorm, "bn": nn.BatchNorm1d}[norm](p, eps=eps) if norm else None
        self.expand = nn.Linear(p, channels, bias=bias)

    def reset_parameters(self) -> None:
        refuse_changed(self)
        for layer in (self.reduce, self.norm, self.expand):
            if layer is not None:
                layer.reset_parameters()

    def forward(self, c: Float[Tensor, "b c"], reduce: nn.Linear | None = None) -> Float[Tensor, "b c"]:
        """delta(c), with another layer in the place of W_1 where one is given."""
        reduce, norm, expand = self.reduce if reduce is None else reduce, self.norm, self.expand
        short = norm is None or type(norm) is nn.LayerNorm
        if not short or not plain(reduce, norm, expand):
            hidden = reduce(c) if norm is None else norm(reduce(c))
            return expand(ACTIVATIONS[self.activation](hidden))
        # Three calls of modules take longer than the products of vectors.
        hidden = F.linear(c, reduce.weight, reduce.bias)
        if norm is not None:
            hidden = F.layer_norm(hidden, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
        return F.linear(ACTIVATIONS[self.activation](hidden), expand.weight, expand.bias)

    def multiply_adds(self) -> int:
        return 2 * self.channels * self.hidden


class SharedBottleneck(Recorded):
    """delta(c) = sum_k bottleneck(c_k): the same `Bottleneck` for each of two vectors, the transform of CBAM.

    Args:
        channels: c.
        ratio, min_hidden, hidden, bias, activation: of the bottleneck; it has no norm.
    """

    def __init__(
        self,
        channels: int,
        *,
        ratio: float = 1 / 16,
        min_hidden: int = 2,
        hidden: int | None = None,
        bias: bool = True,
        activation: Activation = "relu",
    ):
        super().__init__()
        width = {"ratio": ratio, "min_hidden": min_hidden, "hidden": hidden}
        self.each = Bottleneck(channels, **width, norm=None, bias=bias, activation=activation)

    @property
    def remark(self) -> str | None:
        """That of the bottleneck."""
        return self.each.remark

    @property
    def expand(self) -> nn.Module:
        return self.each.expand

    def reset_parameters(self) -> None:
        self.each.reset_parameters()

    def forward(self, c: Float[Tensor, "b 2 c"]) -> Float[Tensor, "b c"]:
        return self.each(c[:, 0]) + self.each(c[:, 1])

    def multiply_adds(self) -> int:
        return 2 * self.each.multiply_adds()


def hidden_width(channels: int, ratio: float, min_hidden: int = 2) -> int:
    """int(channels * ratio), and at least `min_hidden`. Raises ValueError for a ratio that is not a fraction."""
    positive("ratio", ratio, default="1/16")
    if ratio > 1:
        raise ValueError(
            f"ratio={ratio:g} is the hidden width over the channels, a fraction; did you mean 1/{ratio:g}?"
        )
    integer("min_hidden", min_hidden, default=2)
    return max(int(channels * ratio), min_hidden)


class ChannelConv(Recorded):
    """delta(c) = w * c, a convolution over neighbouring channels: the transform of ECA.

    Args:
        channels: c.
        kernel: width of w, odd; None for int(|log2(channels) + 1| / 2), plus one where that is even, and at least 3:
            the released code and timm. The paper (equation 12) takes the nearest odd number.

    Raises:
        ValueError: for an even kernel.
    """

    def __init__(self, channels: int, *, kernel: int | None = None):
        super().__init__()
        integer("channels", channels)
        kernel = channel_kernel(channels) if kernel is None else kernel
        odd("kernel", kernel, default=channel_kernel(channels))
        self.channels, self.kernel = channels, kernel
        self.expand = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def reset_parameters(self) -> None:
        refuse_changed(self)
        self.expand.reset_parameters()

    def forward(self, c: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
        if not plain(self.expand):
            return self.expand(c[:, None]).squeeze(1)
        # A product over windows: setting up a convolution of one channel takes several times as long as its products.
        half = self.kernel // 2
        padded = F.pad(c, (half, half))
        windows = torch.stack([padded[:, i : i + self.channels] for i in range(self.kernel)], dim=2)
        return F.linear(windows, self.expand.weight[0]).squeeze(2)

    def multiply_adds(self) -> int:
        return self.channels * self.kernel


def channel_kernel(channels: int) -> int:
    """ECA's kernel: int(|log2 c + 1| / 2), plus one where that is even, and at least 3."""
    width = int(abs(math.log2(channels) + 1) / 2)
    return max(width + (width + 1) % 2, 3)
