"""A map that a batch norm made: a gradient that needs it computes it again from what the norm keeps anyway.

    x = s (u - mean) + b,    s = weight / sqrt(variance + eps)

The norm keeps its input u for its own gradient. A block after it that keeps x too holds one map more than the network
without the block.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch._C import _autograd  # pyright: ignore[reportAttributeAccessIssue]

from wholeframe.ops.autograd import in_transform

NODE = "NativeBatchNormBackward0"
"""of autograd; other norms, and those of other libraries, keep other things"""


class Normed(NamedTuple):
    """What a batch norm keeps of a map that it made, and its options.

    `mean` and `variance` are the running statistics, None where the norm took those of its batch: `batch_mean` and
    `batch_inverse` (1 / sqrt(variance + eps)).
    """

    u: Float[Tensor, "b c *grid"]
    weight: Float[Tensor, "c"]
    bias: Float[Tensor, "c"]
    mean: Float[Tensor, "c"] | None
    variance: Float[Tensor, "c"] | None
    batch_mean: Float[Tensor, "c"] | None
    batch_inverse: Float[Tensor, "c"] | None
    eps: float

    def again(self) -> Float[Tensor, "b c *grid"]:
        """x, in a map of its own. It has a graph to u, weight and bias where grad mode is on."""
        if torch.is_grad_enabled():
            batch = self.mean is None
            return F.batch_norm(self.u, self.mean, self.variance, self.weight, self.bias, batch, eps=self.eps)
        mean, inverse = self.batch_mean, self.batch_inverse
        if mean is None or inverse is None:
            assert self.mean is not None and self.variance is not None
            mean, inverse = self.mean, (self.variance + self.eps).rsqrt()
        s = self.weight * inverse
        shape = -1, *(1,) * (self.u.ndim - 2)
        # Two passes, each of which torch vectorises; its addcmul does not where both factors are one per channel.
        return (self.u * s.view(shape)).add_((self.bias - s * mean).view(shape)).to(self.u.dtype)


def keep(ctx: Any, x: Float[Tensor, "b c *grid"], norm: Normed | None, *others: Tensor | None) -> None:
    """Keep tensors of an autograd Function for its gradient, and in the place of x the norm that made it, if given."""
    ctx.eps = None if norm is None else norm.eps
    ctx.save_for_backward(*others, *((x,) if norm is None else norm[:-1]))
    if norm is None:
        ctx.save_for_forward(*others, x)


def kept(ctx: Any, others: int) -> tuple[Any, ...]:
    """The other tensors, x, and whether x is a map of its own that a gradient may overwrite."""
    saved = ctx.saved_tensors
    if ctx.eps is None:
        return *saved, False
    norm = Normed(*saved[others:], eps=ctx.eps)
    return *saved[:others], norm.again(), not torch.is_grad_enabled()


def normed(x: Float[Tensor, "b c *grid"]) -> Normed | None:
    """What the batch norm that made x keeps; None where autograd does not have all of it, or has it packed.

    It is not read within a transform of `torch.func` or in forward mode, whose tensors stand for others.
    """
    node: Any = x.grad_fn
    if node is None or node.name() != NODE or in_transform() or _packs():
        return None
    _, weight, bias = (after[0] for after in node.next_functions)
    if not (hasattr(weight, "variable") and hasattr(bias, "variable")):  # frozen, or computed
        return None
    try:
        u = node._saved_input
        if node._saved_training:
            own = None, None, node._saved_result1, node._saved_result2
        else:
            own = node._saved_running_mean, node._saved_running_var, None, None
    except RuntimeError:  # freed by a gradient that ran, or changed in place, so that the norm has no gradient either
        return None
    return Normed(u, weight.variable, bias.variable, *own, node._saved_eps)


def _packs() -> bool:
    """Whether autograd passes what it keeps to a hook: on its way to a CPU or a disk, or in a checkpoint."""
    return _autograd._top_saved_tensors_default_hooks(True) is not None
