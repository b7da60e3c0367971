"""Frozen batch norm: a fixed scale and shift for every channel."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wholeframe.blocks.arguments import integer


class Affine(nn.Module):
    """y = s x + b for every channel, with s and b fixed: `weight` and `bias` are buffers.

    It is the `AffineNd` of the Caffe2 networks that were fine-tuned with a frozen batch norm. Their files contain s and
    b folded from it, s = gain / sqrt(variance + eps) and b = shift - mean s, and load unchanged. `Affine.folded(norm)`
    folds a batch norm of torch: for detectors and long clips, whose batches are too small for statistics.

    Args:
        channels: c, of a map `(b, c, *grid)` of any rank.
    """

    weight: Tensor
    bias: Tensor
    frozen = False
    """Whether it takes the place of a batch norm, see `folded`."""

    def __init__(self, channels: int):
        super().__init__()
        integer("channels", channels)
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))

    @classmethod
    def folded(cls, norm: _BatchNorm) -> "Affine":
        """The affine map that a batch norm computes in evaluation.

        Raises:
            ValueError: for a batch norm without running statistics.
        """
        if norm.running_mean is None or norm.running_var is None:
            raise ValueError(
                "a batch norm without running statistics has no fixed affine map and cannot be frozen; "
                "build it with track_running_stats=True"
            )
        with torch.no_grad():
            s = torch.rsqrt(norm.running_var + norm.eps) * (norm.weight if norm.affine else 1)
            b = (norm.bias if norm.affine else 0) - norm.running_mean * s
        affine = cls(norm.num_features)
        affine.weight, affine.bias, affine.frozen = s, b, True
        return affine

    def reset_parameters(self) -> None:
        """Return to y = x."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        everywhere = (slice(None), *[None] * (x.ndim - 2))
        return x * self.weight[everywhere] + self.bias[everywhere]

    def extra_repr(self) -> str:
        return f"{len(self.weight)}"


class Shift(nn.Module):
    """y = x + b for every channel: what is left of a norm whose scale a layer without a bias has taken."""

    weight = None

    def __init__(self, bias: Float[Tensor, "c"]):
        super().__init__()
        self.bias = nn.Buffer(bias)

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        return x + self.bias[(slice(None), *[None] * (x.ndim - 2))]

    def extra_repr(self) -> str:
        return f"{len(self.bias)}"
