"""Bilinear attentional transforms (Chi et al., CVPR 2020): attention over rows and attention over columns."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.fx import Proxy

from wholeframe import ops
from wholeframe.blocks.arguments import divides, flat_positions, integer, not_negative
from wholeframe.blocks.conv_norm import ConvNorm
from wholeframe.blocks.inputs import leaf_or_refuse
from wholeframe.blocks.looks import Look
from wholeframe.blocks.plain import refuse_changed
from wholeframe.blocks.recipe import Recorded


class BAT(Recorded):
    """Positions with the same offset in their cells attend to each other, along rows and along columns of cells.

        v = relu(BN(W_1 x)),    y = P v Q,    z = x + relu(BN(W_3 relu(BN(W_2 y))))

    Input and output `(b, c, h, w)`. The map is cut into s x s cells. A group of channels has one s x s matrix P of
    weights over rows of cells and one Q over columns; the rows of P and the columns of Q sum to one:

        y[i, a, k, b] = sum_jl P[i, j] v[j, a, l, b] Q[l, k],    a, b the offset within a cell

        P = normalised sigmoid(W_p r),    r_j = max of m over row j of cells,    m = relu(BN(W_m v)),    Q likewise

    The block takes images whose height and width are multiples of s, so it is not in `BLOCKS`. It has no `init`: a gain
    of zero before the last ReLU would get no gradient, so the block cannot start as an identity.
    Source: Chi, Yuan, Mu, Tian, "Non-local Neural Networks with Grouped Bilinear Attentional Transforms", CVPR 2020;
    as in timm 1.0.31, whose s h x s w matrices are s x s here: the same sums without their zeros.

    Args:
        channels: c.
        inner: d, the width of v; None for channels // 4.
        size: s.
        groups: number of groups of the channels of v, each with its own P and Q; divides inner.
        dropout: rate of dropped channels of the branch that is added to x, in training mode.

    Raises:
        ValueError: for groups that do not divide inner, and in the forward pass for a map that does not divide into
            s x s cells.
    """

    remark: str | None = None

    def __init__(
        self, channels: int, *, inner: int | None = None, size: int = 7, groups: int = 2, dropout: float = 0.2
    ):
        super().__init__()
        integer("channels", channels)
        inner = max(channels // 4, 1) if inner is None else inner
        integer("size", size, default=7)
        integer("inner", inner, default=max(channels // 4, 1))
        divides("groups", groups, "inner", inner)
        not_negative("dropout", dropout, default=0.2)
        if dropout > 1:
            raise ValueError(f"dropout is the fraction of dropped channels, at most 1, got {dropout:g}; leave 0.2")
        self.channels, self.inner, self.size, self.groups, self.dropout = channels, inner, size, groups, dropout
        self.reduce = ConvNorm(channels, inner, bias=False)
        self.mask = ConvNorm(inner, groups, bias=False)
        # Each group has its own matrix, computed from the row maxima of all groups.
        self.rows = nn.Conv1d(groups, groups * size**2, size)
        self.columns = nn.Conv1d(groups, groups * size**2, size)
        self.mix = ConvNorm(inner, inner, bias=False)
        self.expand = ConvNorm(inner, channels, bias=False)

    def reset_parameters(self) -> None:
        """Return to the initial state, which a model-wide initialisation may have overwritten."""
        refuse_changed(self)
        for layer in (self.reduce, self.mask, self.rows, self.columns, self.mix, self.expand):
            layer.reset_parameters()

    @property
    def identity_at_init(self) -> bool:
        """False: see the class."""
        return False

    @property
    def has_attention(self) -> bool:
        """True: P and Q are attention weights."""
        return True

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if (
            isinstance(x, Proxy)
            or x.ndim < 3
            or x.shape[1] != self.channels
            or not x.is_floating_point()
            or 0 in x.shape[2:]
        ):
            return leaf_or_refuse(self, x)
        _refuse_grid(x.shape[2:], self.size)
        v = self._projected(self.reduce, x)
        p, q = self.matrices(v)
        s, groups = self.size, self.inner // self.groups
        cells = v.unflatten(3, (s, -1)).unflatten(2, (s, -1)).unflatten(1, (self.groups, groups))
        y = torch.einsum("zgij,zgcjalb,zglk->zgciakb", p, cells, q).reshape(v.shape)
        z = self._projected(self.expand, self._projected(self.mix, y))
        return x + F.dropout2d(z, self.dropout, self.training)

    def matrices(self, v: Float[Tensor, "b d h w"]) -> tuple[Float[Tensor, "b g s s"], Float[Tensor, "b g s s"]]:
        """P and Q: the weights over rows and over columns of cells."""
        mask = self._projected(self.mask, v).unflatten(3, (self.size, -1)).unflatten(2, (self.size, -1))
        shape = (self.groups, self.size, self.size)
        p = self.rows(mask.amax(dim=(3, 4, 5))).view(-1, *shape).sigmoid()
        q = self.columns(mask.amax(dim=(2, 3, 5))).view(-1, *shape).sigmoid()
        return p / p.sum(dim=3, keepdim=True), q / q.sum(dim=2, keepdim=True)

    def _projected(self, layer: ConvNorm, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        return ops.on_grid(layer(ops.to_positions(x)), x.shape[2:])

    def attention(
        self, x: Float[Tensor, "b c h w"], query: Sequence[int] | Int[Tensor, "q"]
    ) -> Float[Tensor, "b q h w"]:
        """The weights of chosen queries: P Q at the offset of the query in every cell, 0 elsewhere; mean over groups.

        Args:
            x: the map.
            query: flat positions, row-major.
        """
        _refuse_grid(x.shape[2:], self.size)
        p, q = self.matrices(self._projected(self.reduce, x))
        (b, _, h, w), s = x.shape, self.size
        row, column = ops.coordinates(flat_positions(query, x.device), (h, w)).unbind(dim=-1)
        i, a, k, c = row // (h // s), row % (h // s), column // (w // s), column % (w // s)
        weights = x.new_zeros(b, len(row), s, h // s, s, w // s)
        pairs = (p[:, :, i, :, None] * q[:, :, :, k].transpose(-2, -1)[:, :, :, None]).mean(dim=1)
        weights[:, torch.arange(len(row), device=x.device), :, a, :, c] = pairs.transpose(0, 1)
        return weights.flatten(4, 5).flatten(2, 3)

    def looks(self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]) -> tuple[Look, ...]:
        """The weights of chosen queries, which sum to one."""
        return (Look("pairwise", self.attention(x, query)),)

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """Multiply-adds of one sample: four projections, the two matrices and the products with them."""
        n, s = math.prod(grid), self.size
        projections = (self.reduce, self.mask, self.mix, self.expand)
        matrices = 2 * (self.groups * s) ** 2 * s
        return sum(layer.multiply_adds(n) for layer in projections) + matrices + 2 * s * self.inner * n

    def extra_repr(self) -> str:
        return f"{self.channels}, inner={self.inner}, size={self.size}, groups={self.groups}, dropout={self.dropout}"


def _refuse_grid(grid: Sequence[Any], size: int) -> None:
    # While exporting, the grid may contain symbolic integers.
    if len(grid) != 2:
        raise ValueError(f"BAT takes images, but the grid {tuple(grid)} has {len(grid)} axes; give a map (b, c, h, w)")
    if grid[0] % size or grid[1] % size:
        common = math.gcd(*grid)
        sizes = ", ".join(str(s) for s in range(1, common + 1) if common % s == 0)
        raise ValueError(f"size={size} does not divide the grid {tuple(grid)} into cells; take size={sizes}")
