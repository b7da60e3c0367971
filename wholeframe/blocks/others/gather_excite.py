"""Gather-excite over windows (Hu et al., NeurIPS 2018): a separate context for every neighbourhood."""

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.fx import Proxy

from wholeframe import ops
from wholeframe.blocks.arguments import integer
from wholeframe.blocks.context import GATES, Gate
from wholeframe.blocks.inputs import leaf_or_refuse
from wholeframe.blocks.looks import Look
from wholeframe.blocks.recipe import Recorded
from wholeframe.messages import one_of


class GatherExcite(Recorded):
    """A gate for every channel and position from the mean of the window around it, without weights.

        z_i = x_i * sigmoid(c_i),    c = nearest(mean of windows of 2e - 1 positions, one every e)

    Input and output `(b, c, *grid)`; windows span space and never time, and are cropped at the border. The block is not
    in `BLOCKS`, because a window is not the whole map. Over the whole map, gather-excite is the point (`MeanContext`,
    `IdentityTransform`, multiply) of `ContextBlock`.
    Source: Hu, Shen, Albanie, Sun, Vedaldi, "Gather-Excite: Exploiting Feature Context in Convolutional Neural
    Networks", NeurIPS 2018 (arXiv 1810.12348), theta minus; windows as in timm 1.0.31.

    Args:
        channels: c.
        extent: e.
        context: `"mean"`, or `"mean_max"` for the mean of mean and maximum (timm's `add_maxpool`).
        gate: see `ContextBlock`. Without weights there is no `init`, and a fresh block is not an identity.

    Raises:
        ValueError: for an unknown option and an extent below 2.
    """

    remark: str | None = None

    def __init__(
        self,
        channels: int,
        *,
        extent: int,
        context: Literal["mean", "mean_max"] = "mean",
        gate: Gate = "sigmoid",
    ):
        super().__init__()
        one_of("context", context, ("mean", "mean_max"))
        one_of("gate", gate, tuple(GATES))
        integer("channels", channels)
        integer("extent", extent)
        if extent < 2:
            raise ValueError(
                f"extent must be at least 2, got {extent}; for the whole map take "
                "ContextBlock(channels, context=MeanContext, transform=IdentityTransform, fusion='multiply', "
                "init='random')"
            )
        self.channels, self.extent, self.context, self.gate = channels, extent, context, gate

    def reset_parameters(self) -> None:
        """Nothing to reset."""

    @property
    def identity_at_init(self) -> bool:
        """False: there are no weights that could start at zero."""
        return False

    @property
    def has_attention(self) -> bool:
        """False: all positions of a window have the same weight."""
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
        return x * self.gates(x)

    def gates(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        """The factor of every channel and position of x."""
        return GATES[self.gate](ops.over_space(self._windows, x))

    def looks(self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]) -> tuple[Look, ...]:
        """The factors, averaged over channels to one map."""
        return (Look("position", self.gates(x).mean(dim=1), "factors of each position, averaged over its channels"),)

    def _windows(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        width, step, border = 2 * self.extent - 1, self.extent, self.extent - 1
        context = F.avg_pool2d(image, width, step, border, count_include_pad=False)
        if self.context == "mean_max":
            context = (context + F.max_pool2d(image, width, step, border)) / 2
        return F.interpolate(context, size=image.shape[2:])

    def attention(
        self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]
    ) -> Float[Tensor, "b q *grid"]:
        """Raises ValueError: all positions of a window have the same weight."""
        raise ValueError(
            f"GatherExcite weighs all positions of a window of {2 * self.extent - 1} alike, so there is no attention "
            "to show; take a block with attention, such as GlobalContext(channels)"
        )

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """0: means and products with gates are elementwise."""
        return 0

    def extra_repr(self) -> str:
        return f"{self.channels}, extent={self.extent}, context={self.context!r}, gate={self.gate!r}"
