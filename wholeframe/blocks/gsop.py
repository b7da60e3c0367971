"""Global second-order pooling: gates computed from a covariance of channels or of positions (Gao et al., CVPR 2019)."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.fx import Proxy

from wholeframe import ops
from wholeframe.blocks.arguments import integer
from wholeframe.blocks.context import GATES, ContextBlock, Gate, halving
from wholeframe.blocks.conv_norm import ConvNorm
from wholeframe.blocks.init import Init, check_init, init_kaiming
from wholeframe.blocks.inputs import leaf_or_refuse
from wholeframe.blocks.looks import FACTORS, Look
from wholeframe.blocks.plain import plain, refuse_changed
from wholeframe.blocks.recipe import Recorded
from wholeframe.messages import one_of

RowAct = Literal["relu", "leaky_relu"] | None
ROW_ACTS: dict[RowAct, Callable[[Tensor], Tensor]] = {
    None: lambda t: t,
    "relu": F.relu,
    "leaky_relu": lambda t: F.leaky_relu(t, 0.1),
}


# ---------------------------------------------------------------------------------------------- parts of the framework


class CovarianceContext(Recorded):
    """S = cov(act(BN(W relu(x)))): the d x d covariance of d reduced channels over all positions.

    Args:
        channels: c.
        inner: d.
        act: before the covariance, `"relu"` or None.
        stride: spatial subsampling step; every frame is kept.
    """

    def __init__(self, channels: int, *, inner: int = 128, act: Literal["relu"] | None = "relu", stride: int = 1):
        super().__init__()
        integer("stride", stride)
        self.inner, self.stride = inner, stride
        self.reduce = ConvNorm(channels, inner, act=act)

    def reset_parameters(self) -> None:
        self.reduce.reset_parameters()

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b d d"]:
        return ops.covariance(self.reduce(ops.to_positions(F.relu(strided(x, self.stride)))))

    def multiply_adds(self, grid: Sequence[int]) -> int:
        kept = math.prod(strided_grid(grid, self.stride))
        return self.reduce.multiply_adds(kept) + self.inner**2 * kept


class RowConv(Recorded):
    """delta(S) = W_2 act(W_row * BN(S)) + b_2: each row of S has its own batch norm and `filters` filters.

    Args:
        channels: width of the result.
        inner: d, the rows of S.
        filters: number of filters per row.
        act: between the two layers, None, `"relu"` or `"leaky_relu"` (slope 0.1).
    """

    def __init__(self, channels: int, *, inner: int = 128, filters: int = 4, act: RowAct = None):
        super().__init__()
        one_of("row_act", act, tuple(ROW_ACTS))
        integer("channels", channels)
        integer("filters", filters, default=4)
        integer("inner", inner)
        self.channels, self.inner, self.filters = channels, inner, filters
        self.act: RowAct = act
        self.row_norm = nn.BatchNorm1d(inner)
        self.row_conv = nn.Conv1d(inner, filters * inner, inner, groups=inner)
        self.expand = nn.Linear(filters * inner, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        refuse_changed(self)
        self.row_norm.reset_parameters()
        init_kaiming(self.row_conv)
        init_kaiming(self.expand)

    def forward(self, s: Float[Tensor, "b d d"]) -> Float[Tensor, "b c"]:
        # The covariance is wide; the norm may hold half precision, or no parameters once a tool has replaced it.
        rows = self.row_norm(s.to(next(self.row_norm.parameters(), s).dtype))
        return self.expand(ROW_ACTS[self.act](self.filtered(rows)))

    def filtered(self, rows: Float[Tensor, "b d d"]) -> Float[Tensor, "b rd"]:
        if not plain(self.row_conv):
            return self.row_conv(rows).squeeze(2)
        # Every filter has a bias, as in all references; the type of nn.Conv1d makes it optional.
        assert self.row_conv.bias is not None
        return ops.row_conv(rows, self.row_conv.weight, self.row_conv.bias)

    def multiply_adds(self) -> int:
        return self.filters * self.inner * (self.inner + self.channels)


# ------------------------------------------------------------------------------------------------------------- blocks


class GSoPChannel(ContextBlock):
    """Channel-wise GSoP: a gate for every channel, computed from the covariance of the channels.

        z_i = x_i * sigmoid(W_2 (W_row * BN(cov(relu(BN(W_1 relu(x)))))))

    Input and output `(b, c, *grid)`, any rank of grid; positions are samples, so their order does not matter. The
    covariance has no matrix root. The block is the point (`CovarianceContext`, `RowConv`, multiply) of
    `ContextBlock`. Source: Gao, Xie, Wang, Li, "Global Second-order Pooling Convolutional Networks", CVPR 2019
    (arXiv 1811.12006); code ZilinGao/Global-Second-order-Pooling-Convolutional-Networks@662a699. Its published place is
    before the residual sum of the last block of a stage (`layer1.2.bn3` of a torchvision ResNet-50).

    *Where references disagree* (each is an argument):

    - `row_act`: None in the released code (two consecutive linear maps); a leaky ReLU in the paper, with slope 0.1 in
      the authors' development file (`resnet.py~`, commit b69ea4e).
    - `reduce_act`: a ReLU in the released code, None in the development file.
    - `stride`: 2 in the first stage (64 planes), 1 in the others.

    Args:
        channels: c.
        inner: d, the channels of the covariance.
        stride: spatial subsampling step; every frame is kept.
        filters: number of filters per row of the covariance.
        reduce_act: before the covariance, `"relu"` or None.
        row_act: between row convolution and W_2: None, `"relu"` or `"leaky_relu"`.
        gate, init: see `ContextBlock`. The published gate is about 1/2 in a fresh block;
            `gate="twice_sigmoid", init="identity"` starts as an identity.

    Raises:
        ValueError: for an unknown option, or a width, stride or number of filters below 1.
    """

    context: CovarianceContext
    multiply: RowConv

    def __init__(
        self,
        channels: int,
        *,
        inner: int = 128,
        stride: int = 1,
        filters: int = 4,
        reduce_act: Literal["relu"] | None = "relu",
        row_act: RowAct = None,
        gate: Gate = "sigmoid",
        init: Init = "random",
    ):
        super().__init__(
            channels,
            context=lambda c: CovarianceContext(c, inner=inner, act=reduce_act, stride=stride),
            transform=lambda c: RowConv(c, inner=inner, filters=filters, act=row_act),
            fusion="multiply",
            gate=gate,
            init=init,
        )

    @property
    def stride(self) -> int:
        """Spatial subsampling step of the covariance's samples."""
        return self.context.stride

    def looks(self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]) -> tuple[Look, ...]:
        """The factor of every channel, with the covariance that it is computed from."""
        s = self.context(x)
        return (Look("channel", GATES[self.gate](self.multiply(s)), FACTORS["channel"], s),)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, inner={self.context.inner}, stride={self.stride}"


class GSoPPosition(Recorded):
    """Position-wise GSoP: a gate for every position, computed from the covariance of the cells of a coarse grid.

        V = pool(BN(W_1 relu(x))),    S = V^T J V,    z_i = relu(x_i * unpool(sigmoid(W_2 relu(W_row * BN(S))))_i)

    Input and output `(b, c, *grid)`. Both poolings are adaptive means: onto the fixed grid `size`, whose n cells are
    the variables of the covariance (so their order matters, and the number of weights grows with n^2), and back.
    The maps have the rank of `size`. Source: Gao et al., CVPR 2019 (arXiv 1811.12006); code as for `GSoPChannel`.

    *Where references disagree* (each is an argument):

    - `centring`: `"released"` divides by n, whereas a covariance over d samples divides by d, so S is a covariance only
      for n = d and may be indefinite otherwise; `"development"` (authors' `resnet.py~`, commit b69ea4e) corrects half
      of it; `"exact"` is the covariance. See `ops.dense_position_covariance`.
    - `row_act`: `"relu"` as released, `"leaky_relu"` (0.1) in the development file.
    - `filters`: 4 as released, 6 in the development file.
    - `stride`: 1 as released, 2 in the first stage of the development file.
    - `size`: 8 x 8 in the code, 14 x 14 in an older README.
    - `out_act`: the released code has a ReLU after the gate of this block, and none in the channel block. With the ReLU
      the block cannot be an identity at initialisation; None is the plain product.

    Args:
        channels: c.
        inner: d, the samples of the covariance.
        size: the coarse grid, one number per axis.
        stride: spatial subsampling step before the pooling; every frame is kept.
        filters: number of filters per row of the covariance.
        row_act: between row convolution and W_2: None, `"relu"` or `"leaky_relu"`.
        centring: of the covariance, `"released"`, `"development"` or `"exact"`.
        out_act: `"relu"` or None.
        gate, init: see `ContextBlock`; with `out_act=None`, `gate="twice_sigmoid", init="identity"` starts as an
            identity.

    Raises:
        ValueError: for an unknown option, a width, stride, size or number of filters below 1, and in the forward pass
            for a map whose rank differs from that of `size`.
    """

    remark: str | None = None

    def __init__(
        self,
        channels: int,
        *,
        inner: int = 128,
        size: Sequence[int] = (8, 8),
        stride: int = 1,
        filters: int = 4,
        row_act: RowAct = "relu",
        centring: ops.Centring = "released",
        out_act: Literal["relu"] | None = "relu",
        gate: Gate = "sigmoid",
        init: Init = "random",
    ):
        super().__init__()
        one_of("centring", centring, ("released", "development", "exact"))
        one_of("out_act", out_act, ("relu", None))
        one_of("gate", gate, tuple(GATES))
        check_init(init, halving(gate))
        if out_act is not None:
            check_init(init, f"out_act={out_act!r} sets negative numbers to zero; take out_act=None")
        integer("channels", channels)
        integer("stride", stride)
        if not isinstance(size, Sequence) or not 1 <= len(size) <= 3:
            raise ValueError(f"size must have one to three integers, such as (8, 8), got {size!r}")
        for cells in size:
            integer(f"every number of size={tuple(size)}", cells)
        n = math.prod(size)
        self.channels, self.inner, self.size, self.stride = channels, inner, tuple(size), stride
        self.centring: ops.Centring = centring
        self.out_act, self.gate, self.init = out_act, gate, init
        self.reduce = ConvNorm(channels, inner, act=None)
        self.transform = RowConv(n, inner=n, filters=filters, act=row_act)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return to the initial state, which a model-wide initialisation may have overwritten."""
        self.reduce.reset_parameters()
        self.transform.reset_parameters()
        if self.init != "random":
            for parameter in self.transform.expand.parameters():
                nn.init.zeros_(parameter)

    @property
    def identity_at_init(self) -> bool:
        """Whether a fresh block returns its input."""
        return self.init != "random" and halving(self.gate) is None and self.out_act is None

    @property
    def has_attention(self) -> bool:
        """False: the block multiplies every position by a gate and has no sum over positions."""
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
        z = x * self.gates(x)
        # A ReLU whose output may be overwritten: F.relu stores its output for the backward pass, and residual blocks
        # add to it in place (where the reference raises with a current torch). `where` stores its mask.
        return z if self.out_act is None else torch.where(z <= 0, 0, z)

    def gates(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b 1 *grid"]:
        """The factor of every position of x: `Bottleneck.pos_att` of the reference."""
        return self._gates_of(self.covariance(x), x.shape[2:])

    def covariance(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b k k"]:
        """S, whose variables are the k cells of the coarse grid."""
        if x.ndim - 2 != len(self.size):
            raise ValueError(
                f"size={self.size} is a grid of {len(self.size)} axes, but the map {tuple(x.shape)} has {x.ndim - 2}; "
                f"build the block with size={(8,) * (x.ndim - 2)}, one number per axis"
            )
        kept = strided(F.relu(x), self.stride)
        v = ops.on_grid(self.reduce(ops.to_positions(kept)), kept.shape[2:])
        return ops.position_covariance(ops.adaptive_mean(v, self.size).flatten(2), self.centring)

    def _gates_of(self, s: Float[Tensor, "b k k"], grid: Sequence[int]) -> Float[Tensor, "b 1 *grid"]:
        gates = GATES[self.gate](self.transform(s)).reshape(s.shape[0], 1, *self.size)
        return ops.adaptive_mean(gates, grid)

    def looks(self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]) -> tuple[Look, ...]:
        """The factor of every position, with the covariance that it is computed from."""
        s = self.covariance(x)
        return (Look("position", self._gates_of(s, x.shape[2:])[:, 0], FACTORS["position"], s),)

    def attention(
        self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]
    ) -> Float[Tensor, "b q *grid"]:
        """Raises ValueError, because the block has no sum over positions and so no attention."""
        raise ValueError(
            "GSoPPosition multiplies every position by a number and sums over none, so there is no attention to show; "
            "block.gates(x) is the map of these numbers"
        )

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """Multiply-adds of one sample: the reduction, the covariance and the transform, without pooling."""
        kept, n = math.prod(strided_grid(grid, self.stride)), math.prod(self.size)
        return self.reduce.multiply_adds(kept) + self.inner * n**2 + self.transform.multiply_adds()

    def extra_repr(self) -> str:
        return (
            f"{self.channels}, inner={self.inner}, size={self.size}, stride={self.stride}, "
            f"centring={self.centring!r}, out_act={self.out_act!r}, gate={self.gate!r}, init={self.init!r}"
        )


# ---------------------------------------------------------------------------------------------------------- positions


def strided(x: Float[Tensor, "b c *grid"], stride: int) -> Float[Tensor, "b c *kept"]:
    """The positions that a strided 1 x 1 convolution reads; all frames of a clip are kept."""
    rank = x.ndim - 2
    return x if stride == 1 else x[(..., *(slice(None, None, s) for s in ops.pool_window(stride, rank)))]


def strided_grid(grid: Sequence[int], stride: int) -> tuple[int, ...]:
    """The grid of `strided` maps."""
    return tuple(-(-size // s) for size, s in zip(grid, ops.pool_window(stride, len(grid)), strict=True))
