"""CBAM: channels gated by the whole map, then positions gated by their neighbourhood (Woo et al., ECCV 2018)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.fx import Proxy

from wholeframe import ops
from wholeframe.blocks.arguments import odd
from wholeframe.blocks.context import GATES, ContextBlock, Gate, halving
from wholeframe.blocks.contexts import MeanAndMaxContext
from wholeframe.blocks.init import Init, check_init, init_weight
from wholeframe.blocks.inputs import leaf_or_refuse
from wholeframe.blocks.looks import FACTORS, Look
from wholeframe.blocks.plain import refuse_changed
from wholeframe.blocks.recipe import Recorded
from wholeframe.blocks.transforms import Activation, SharedBottleneck
from wholeframe.messages import one_of


class CBAM(Recorded):
    """Gates for channels, then gates for positions.

        y = x * sigmoid(M(mean_j x_j) + M(max_j x_j)),    M c = W_2 relu(W_1 c)
        z_i = y_i * sigmoid(BN(w * [mean_c y; max_c y])_i),    * over k x k neighbours

    Input and output `(b, c, *grid)`. The first line is a point of `ContextBlock`; the second line, `SpatialGate`, has
    no context. A sequence is convolved as an image of one column, a clip frame by frame. CBAM is not in `BLOCKS`,
    because a position depends on its neighbours and not on the whole map.
    Source: Woo, Park, Lee, Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018 (arXiv 1807.06521).

    *Where references disagree*: M has biases in the authors' code (Jongchan/attention-module@e4ee180) and none in timm
    (`bias`). The first plane of w applies to the maximum in the authors' code, and to the mean in timm and here:
    exchange the two planes to convert. The authors' batch norm has a momentum of 0.01, timm's and this one 0.1.

    Args:
        channels: c.
        ratio, min_hidden, hidden, bias, activation: of M, see `Bottleneck`.
        kernel: k, odd.
        gate, init: of both gates; `gate="twice_sigmoid", init="identity"` starts as an identity.

    Raises:
        ValueError: for an unknown option and an even kernel.
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
        kernel: int = 7,
        gate: Gate = "sigmoid",
        init: Init = "random",
    ):
        super().__init__()
        self.channels = channels
        width = {"ratio": ratio, "min_hidden": min_hidden, "hidden": hidden}
        self.channel = ContextBlock(
            channels,
            context=MeanAndMaxContext,
            transform=lambda c: SharedBottleneck(c, **width, bias=bias, activation=activation),
            fusion="multiply",
            gate=gate,
            init=init,
        )
        self.spatial = SpatialGate(kernel=kernel, gate=gate, init=init)

    def reset_parameters(self) -> None:
        """Return to the initial state, which a model-wide initialisation may have overwritten."""
        refuse_changed(self)
        self.channel.reset_parameters()
        self.spatial.reset_parameters()

    @property
    def identity_at_init(self) -> bool:
        """Whether a fresh block returns its input."""
        return self.channel.identity_at_init

    @property
    def remark(self) -> str | None:
        """See `ContextBlock.remark`."""
        return self.channel.remark

    @property
    def has_attention(self) -> bool:
        """False: the block multiplies channels and positions by gates and has no sum over positions."""
        return False

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        if (
            isinstance(x, Proxy)
            or x.ndim < 3
            or x.shape[1] != self.channels
            or not x.is_floating_point()
            or 0 in x.shape[2:]
        ):
            return leaf_or_refuse(self, x)
        return self.spatial(self.channel(x))

    def attention(
        self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]
    ) -> Float[Tensor, "b q *grid"]:
        """Raises ValueError, because the block has no sum over positions and so no attention."""
        raise ValueError(
            "CBAM multiplies channels and positions by numbers and sums over none, so there is no attention to show; "
            "block.spatial.gates(block.channel(x)) is the map of the positions' numbers"
        )

    def looks(self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]) -> tuple[Look, ...]:
        """The factor of every channel, then that of every position of the gated map."""
        gates = self.spatial.gates(self.channel(x))[:, 0]
        return (*self.channel.looks(x, query), Look("position", gates, FACTORS["position"]))

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """Multiply-adds of one sample: M twice, and the convolution, padding included."""
        return self.channel.multiply_adds(grid) + self.spatial.multiply_adds(grid)

    def extra_repr(self) -> str:
        return f"{self.channels}"


class SpatialGate(nn.Module):
    """z_i = x_i * gate(BN(w * [mean_c x; max_c x])_i): a gate for every position, from its k x k neighbours.

    Args:
        kernel: k, odd.
        gate, init: see `ContextBlock`; `"zero"` and `"identity"` start the norm's gain at zero.
    """

    def __init__(self, *, kernel: int = 7, gate: Gate = "sigmoid", init: Init = "random"):
        super().__init__()
        one_of("gate", gate, tuple(GATES))
        check_init(init, halving(gate))
        odd("kernel", kernel, default=7)
        self.kernel, self.gate, self.init = kernel, gate, init
        # Not an nn.Conv2d, so that a network that re-initialises its convolutions does not change the block.
        self.weight = nn.Parameter(torch.empty(1, 2, kernel, kernel))
        self.norm = nn.BatchNorm1d(1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        init_weight(self.weight, None)
        self.norm.reset_parameters()
        if self.init != "random":
            nn.init.zeros_(self.norm.weight)

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        return x * self.gates(x)

    def gates(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b 1 *grid"]:
        """The factor of every position of x."""
        both = torch.stack([x.mean(dim=1), x.amax(dim=1)], dim=1)
        seen = ops.over_space(lambda image: F.conv2d(image, self.weight, padding=self.kernel // 2), both)
        return ops.on_grid(GATES[self.gate](self.norm(ops.flat(seen))), x.shape[2:])

    def multiply_adds(self, grid: Sequence[int]) -> int:
        return self.weight.numel() * math.prod(grid)

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, gate={self.gate!r}, init={self.init!r}"
