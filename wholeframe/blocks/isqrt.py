"""Covariance pooling with a matrix square root, which replaces the average pooling of a network."""

import math
from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.fx import Proxy

from wholeframe import ops
from wholeframe.blocks.arguments import integer
from wholeframe.blocks.conv_norm import ConvNorm
from wholeframe.blocks.inputs import leaf_or_refuse
from wholeframe.blocks.recipe import Recorded
from wholeframe.messages import one_of

Root = Literal["newton_schulz", "eigen"]


class ISqrtCov(Recorded):
    """The matrix square root of the covariance of all positions, as the input of a classifier instead of the mean.

        y = triangle((cov relu(BN(W x)))^1/2)

    Input `(b, c, *grid)`, any rank of grid; output `(b, out_features)`, d (d + 1) / 2 numbers, d = `inner`.
    Source: Li, Xie, Wang, Gao, "Towards Faster Training of Global Covariance Pooling Networks by Iterative Matrix
    Square Root Normalization", CVPR 2018 (iSQRT-COV); with `root="eigen"` Li, Xie, Wang, Zuo, "Is Second-order
    Information Helpful for Large-scale Visual Recognition?", ICCV 2017 (MPN-COV, power 1/2).

    Covariance and root are computed in float32 or better, also under autocast; the output has the dtype of x. Outputs
    and gradients are finite for one position, for a map without variance, and for fewer positions than channels.

    *Where references disagree* (each is an argument):

    - `steps`: 5 in fast-MPN-COV, 3 in GSoP-Net2. They are different functions; see `ops.newton_schulz`.
    - `triangle`: `"upper"` in fast-MPN-COV since 2018-12-26 and in pytorchcv, `"lower"` in GSoP and in fast-MPN-COV
      before. With the wrong order a trained classifier returns noise (fast-MPN-COV issue 20: 0.166 % top-1), although
      all shapes fit.
    - `root`: `"eigen"` is the exact power 1/2, to which Newton-Schulz steps converge. A network trained with three or
      five steps needs these steps.

    Args:
        channels: c.
        inner: d; None for no reduction, d = c.
        steps: number of Newton-Schulz steps, for `root="newton_schulz"`.
        root: `"newton_schulz"` or `"eigen"`.
        triangle: order of the output, `"upper"` or `"lower"`, both row by row.

    Raises:
        ValueError: for an unknown option, and for steps below 1 or above 20 (in float32, 25 steps diverge for a
            covariance of rank 1 in 64 variables, and 30 steps for every covariance below full rank that was tried).
    """

    def __init__(
        self,
        channels: int,
        *,
        inner: int | None = 256,
        steps: int = 5,
        root: Root = "newton_schulz",
        triangle: ops.Triangle = "upper",
    ):
        super().__init__()
        one_of("root", root, ("newton_schulz", "eigen"))
        one_of("triangle", triangle, ("upper", "lower"))
        integer("channels", channels)
        integer("steps", steps, default=5)
        if steps > 20:
            raise ValueError(
                f"steps must be from 1 to 20, got {steps}: in float32 the rounding errors of Newton-Schulz grow by "
                "half with every step (3 and 5 are published); take root='eigen' for the exact root"
            )
        self.channels, self.inner = channels, inner
        self.steps, self.root = steps, root
        self.triangle: ops.Triangle = triangle
        self.reduce = None if inner is None else ConvNorm(channels, inner, bias=False)

    def reset_parameters(self) -> None:
        """Return to the initial state, which a model-wide initialisation may have overwritten."""
        if self.reduce is not None:
            self.reduce.reset_parameters()

    @property
    def width(self) -> int:
        """d, the width of the covariance."""
        return self.channels if self.inner is None else self.inner

    @property
    def out_features(self) -> int:
        """The width of the output: `in_features` of the linear layer that follows."""
        return self.width * (self.width + 1) // 2

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b t"]:
        if (
            isinstance(x, Proxy)
            or x.ndim < 3
            or x.shape[1] != self.channels
            or not x.is_floating_point()
            or 0 in x.shape[2:]
        ):
            return leaf_or_refuse(self, x)
        v = ops.flat(x) if self.reduce is None else self.reduce(ops.to_positions(x))
        sigma = ops.covariance(v)
        root = ops.eigen_root(sigma) if self.root == "eigen" else ops.newton_schulz(sigma, self.steps)
        return ops.triangle(root, self.triangle).to(x.dtype)

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """Multiply-adds of one sample: reduction, covariance, root (without the eigen-decomposition)."""
        d, m = self.width, math.prod(grid)
        reduction = 0 if self.reduce is None else self.reduce.multiply_adds(m)
        root = d**3 if self.root == "eigen" else ops.newton_schulz_macs(d, self.steps)
        return reduction + d * d * m + root

    def extra_repr(self) -> str:
        return (
            f"{self.channels}, inner={self.inner}, steps={self.steps}, root={self.root!r}, triangle={self.triangle!r}"
        )
