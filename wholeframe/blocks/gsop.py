"""Global second-order pooling: gates from how channels, or positions, vary together (Gao et al., CVPR 2019)."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from wholeframe import ops
from wholeframe.blocks.context import GATES, ContextBlock, Gate
from wholeframe.blocks.conv_norm import ConvNorm
from wholeframe.blocks.init import init_conv
from wholeframe.messages import one_of

RowAct = Literal["relu", "leaky_relu"] | None
ROW_ACTS: dict[RowAct, Callable[[Tensor], Tensor]] = {
    None: lambda t: t,
    "relu": F.relu,
    "leaky_relu": lambda t: F.leaky_relu(t, 0.1),
}


# ---------------------------------------------------------------------------------------------- parts of the framework


class CovarianceContext(nn.Module):
    """S = cov(act(BN(W relu(x)))): how d reduced channels vary together over all positions, d x d numbers.

    Args:
        channels: c.
        inner: d.
        act: before the covariance, `"relu"` or None.
        stride: keeps every so manieth position of each axis in space, and all in time.
    """

    def __init__(self, channels: int, *, inner: int = 128, act: Literal["relu"] | None = "relu", stride: int = 1):
        super().__init__()
        refuse_stride(stride)
        self.inner, self.stride = inner, stride
        self.reduce = ConvNorm(channels, inner, act=act)

    def reset_parameters(self) -> None:
        self.reduce.reset_parameters()

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b d d"]:
        return ops.covariance(self.reduce(ops.to_positions(F.relu(strided(x, self.stride)))))

    def multiply_adds(self, grid: Sequence[int]) -> int:
        kept = math.prod(strided_grid(grid, self.stride))
        return self.reduce.multiply_adds(kept) + self.inner**2 * kept


class RowConv(nn.Module):
    """delta(S) = W_2 act(W_row * BN(S)) + b_2: every row of S has a batch norm and `filters` filters of its own.

    Args:
        channels: width of the result.
        inner: d, the rows of S.
        filters: per row.
        act: between the two layers, None, `"relu"` or `"leaky_relu"` (slope 0.1).
    """

    def __init__(self, channels: int, *, inner: int = 128, filters: int = 4, act: RowAct = None):
        super().__init__()
        one_of("row_act", act, tuple(ROW_ACTS))
        if filters < 1:
            raise ValueError(
                f"filters={filters} leaves a row of the covariance unseen; give a number from 1, such as 4"
            )
        self.act: RowAct = act
        self.row_norm = nn.BatchNorm1d(inner)
        self.row_conv = nn.Conv1d(inner, filters * inner, inner, groups=inner)
        self.expand = nn.Linear(filters * inner, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        self.row_norm.reset_parameters()
        init_conv(self.row_conv)
        init_conv(self.expand)

    def forward(self, s: Float[Tensor, "b d d"]) -> Float[Tensor, "b c"]:
        rows = self.row_norm(s.to(self.row_norm.weight.dtype))
        return self.expand(ROW_ACTS[self.act](self.filtered(rows)))

    def filtered(self, rows: Float[Tensor, "b d d"]) -> Float[Tensor, "b rd"]:
        # A bias for every filter, as in all references; nn.Conv1d calls it optional.
        assert self.row_conv.bias is not None
        return ops.row_conv(rows, self.row_conv.weight, self.row_conv.bias)

    def multiply_adds(self) -> int:
        return self.row_conv.weight.numel() + self.expand.weight.numel()


# ------------------------------------------------------------------------------------------------------------- blocks


class GSoPChannel(ContextBlock):
    """Channel-wise GSoP: every channel is gated by how the channels vary together.

        z_i = x_i * sigmoid(W_2 (W_row * BN(cov(relu(BN(W_1 relu(x)))))))

    Input and output `(b, c, *grid)`, any rank of grid; positions are samples, so their order does not matter. The
    covariance is raw, without a matrix root. It is the point (`CovarianceContext`, `RowConv`, multiply) of
    `ContextBlock`. Source: Gao, Xie, Wang, Li, "Global Second-order Pooling Convolutional Networks", CVPR 2019
    (arXiv 1811.12006); code ZilinGao/Global-Second-order-Pooling-Convolutional-Networks@662a699. Its place is the
    branch before the residual sum of the last block of a stage (`layer1.2.bn3` of a torchvision ResNet-50).

    Where references disagree (each is an argument):

    - `row_act`: none in the released code (two linear maps in a row); a leaky ReLU in the paper, of slope 0.1 in the
      authors' development file (`resnet.py~`, commit b69ea4e).
    - `reduce_act`: a ReLU in the released code, none (None) in the development file.
    - `stride`: 2 in the first stage (64 planes), 1 in the others.

    Args:
        channels: c.
        inner: d, the channels of the covariance.
        stride: keeps every so manieth position of each axis in space, and all in time.
        filters: per row of the covariance.
        reduce_act: before the covariance, `"relu"` or None.
        row_act: between row convolution and W_2: None, `"relu"` or `"leaky_relu"`.
        gate, init: see `ContextBlock`. The published gate halves a fresh branch, more or less;
            `gate="twice_sigmoid", init="zero"` starts as an identity.

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
        init: Literal["zero", "random"] = "random",
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
        """Of the covariance's samples."""
        return self.context.stride

    def gates(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c"]:
        """What every channel of x is multiplied by: `Bottleneck.chan_att` of the reference."""
        return GATES[self.gate](self.multiply(self.context(x)))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, inner={self.context.inner}, stride={self.stride}"


class GSoPPosition(nn.Module):
    """Position-wise GSoP: every position is gated by how the cells of a coarse grid vary together.

        V = pool(BN(W_1 relu(x))),    S = V^T J V,    z_i = relu(x_i * unpool(sigmoid(W_2 relu(W_row * BN(S))))_i)

    Input and output `(b, c, *grid)`. Both poolings are adaptive means: onto the fixed grid `size`, whose n cells are
    the variables of the covariance (so their order matters, and the number of weights grows with n^2), and back.
    The rank of the maps is that of `size`. Source: Gao et al., CVPR 2019 (arXiv 1811.12006); code as of
    `GSoPChannel`.

    Where references disagree (each is an argument):

    - `centring`: `"released"` divides by n where a covariance over d samples divides by d, so S is none unless
      n = d and may be indefinite; `"development"` (authors' `resnet.py~`, commit b69ea4e) corrects half of it;
      `"exact"` is the covariance. See `ops.dense_position_covariance`.
    - `row_act`: `"relu"` as released, `"leaky_relu"` (0.1) in the development file.
    - `filters`: 4 as released, 6 in the development file.
    - `stride`: 1 as released, 2 in the first stage of the development file.
    - `size`: 8 x 8 in the code, 14 x 14 in an older README.
    - `out_act`: the released code has a ReLU after the gate, here and not in the channel block. With it the block is
      no identity at initialisation, whatever its gate; None leaves the plain product.

    Args:
        channels: c.
        inner: d, the samples of the covariance.
        size: the coarse grid, one number per axis.
        stride: keeps every so manieth position of each axis in space, and all in time, before the pooling.
        filters: per row of the covariance.
        row_act: between row convolution and W_2: None, `"relu"` or `"leaky_relu"`.
        centring: of the covariance, `"released"`, `"development"` or `"exact"`.
        out_act: `"relu"` or None.
        gate, init: see `ContextBlock`; with `out_act=None`, `gate="twice_sigmoid", init="zero"` starts as an
            identity.

    Raises:
        ValueError: for an unknown option, a width, stride, size or number of filters below 1, and a map whose rank is
            not that of `size`.
    """

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
        init: Literal["zero", "random"] = "random",
    ):
        super().__init__()
        one_of("centring", centring, ("released", "development", "exact"))
        one_of("out_act", out_act, ("relu", None))
        one_of("gate", gate, tuple(GATES))
        one_of("init", init, ("zero", "random"))
        refuse_stride(stride)
        if not 1 <= len(size) <= 3 or min(size) < 1:
            raise ValueError(f"size={tuple(size)} is no grid; give one to three numbers from 1, such as (8, 8)")
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
        if self.init == "zero":
            for parameter in self.transform.expand.parameters():
                nn.init.zeros_(parameter)

    @property
    def identity_at_init(self) -> bool:
        """Whether a fresh block returns its input."""
        return self.init == "zero" and self.gate == "twice_sigmoid" and self.out_act is None

    @property
    def has_attention(self) -> bool:
        """Whether `attention` has something to show."""
        return False

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        z = x * self.gates(x)
        # A ReLU, but one that a host may overwrite: F.relu keeps its output for the backward pass, and residual
        # blocks add to it in place (the reference raises there on a modern torch). A threshold keeps its input.
        return z if self.out_act is None else F.threshold(z, 0, 0)

    def gates(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b 1 *grid"]:
        """What every position of x is multiplied by: `Bottleneck.pos_att` of the reference."""
        if x.ndim - 2 != len(self.size):
            raise ValueError(
                f"size={self.size} is a grid of {len(self.size)} axes, but the map {tuple(x.shape)} has {x.ndim - 2}; "
                f"build the block with size={(8,) * (x.ndim - 2)}, one number per axis"
            )
        kept = strided(F.relu(x), self.stride)
        v = self.reduce(ops.to_positions(kept)).unflatten(2, kept.shape[2:])
        s = ops.position_covariance(ops.adaptive_mean(v, self.size).flatten(2), self.centring)
        gates = GATES[self.gate](self.transform(s)).unflatten(1, (1, *self.size))
        return ops.adaptive_mean(gates, x.shape[2:])

    def attention(
        self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]
    ) -> Float[Tensor, "b q *grid"]:
        raise ValueError(
            "GSoPPosition multiplies every position by a number and sums over none, so there is no attention to show; "
            "block.gates(x) is the map of these numbers"
        )

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """Multiply-adds of one sample: the reduction, the covariance, the transform (no pooling, as counters)."""
        kept, n = math.prod(strided_grid(grid, self.stride)), math.prod(self.size)
        return self.reduce.multiply_adds(kept) + self.inner * n**2 + self.transform.multiply_adds()

    def extra_repr(self) -> str:
        return (
            f"{self.channels}, inner={self.inner}, size={self.size}, stride={self.stride}, "
            f"centring={self.centring!r}, out_act={self.out_act!r}, gate={self.gate!r}, init={self.init!r}"
        )


# ---------------------------------------------------------------------------------------------------------- positions


def strided(x: Float[Tensor, "b c *grid"], stride: int) -> Float[Tensor, "b c *kept"]:
    """The positions that a strided 1 x 1 convolution looks at; the frames of a clip are all kept."""
    rank = x.ndim - 2
    return x if stride == 1 else x[(..., *(slice(None, None, s) for s in ops.pool_window(stride, rank)))]


def strided_grid(grid: Sequence[int], stride: int) -> tuple[int, ...]:
    return tuple(-(-size // s) for size, s in zip(grid, ops.pool_window(stride, len(grid)), strict=True))


def refuse_stride(stride: int) -> None:
    if stride < 1:
        raise ValueError(f"stride={stride} keeps no position; give a number from 1, which keeps all")
