"""A map that a batch norm made: a gradient that needs it takes what the norm keeps anyway.

    x = s (u - mean) + b,    s = weight / sqrt(variance + eps)

The norm keeps its input u for its own gradient. A block after it that keeps x too holds one map more than the network
without the block. Sums over x are sums over u, scaled and moved; a gradient that is differentiated again computes x.
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

    @property
    def center(self) -> Float[Tensor, "c"]:
        """The mean."""
        mean = self.mean if self.batch_mean is None else self.batch_mean
        assert mean is not None
        return mean

    @property
    def inverse(self) -> Float[Tensor, "c"]:
        """1 / sqrt(variance + eps)."""
        if self.batch_inverse is not None:
            return self.batch_inverse
        assert self.variance is not None
        return (self.variance + self.eps).rsqrt()

    @property
    def scale(self) -> Float[Tensor, "c"]:
        """s."""
        return self.weight * self.inverse

    def again(self) -> Float[Tensor, "b c *grid"]:
        """x. It has a graph to u, weight and bias where grad mode is on."""
        batch = self.mean is None
        return F.batch_norm(self.u, self.mean, self.variance, self.weight, self.bias, batch, eps=self.eps)


def keep(ctx: Any, x: Float[Tensor, "b c *grid"], norm: Normed | None, *others: Tensor | None) -> None:
    """Keep tensors of an autograd Function for its gradient, and in the place of x the norm that made it, if given."""
    ctx.eps = None if norm is None else norm.eps
    ctx.save_for_backward(*others, *((x,) if norm is None else norm[:-1]))
    if norm is None:
        ctx.save_for_forward(*others, x)


def kept(ctx: Any, others: int, *, again: bool) -> tuple[Any, ...]:
    """The other tensors, and x and None, or in their place u and the norm, unless x itself is needed `again`."""
    saved = ctx.saved_tensors
    if ctx.eps is None:
        return *saved, None
    norm = Normed(*saved[others:], eps=ctx.eps)
    return *saved[:others], *((norm.again(), None) if again else (norm.u, norm))


def products(
    dz: Float[Tensor, "b c *grid"], u: Float[Tensor, "b c *grid"], norm: Normed | None
) -> Float[Tensor, "b c"]:
    """sum_j dz_j x_j of every channel, without a map of products; x is u where no norm is given.

        sum_j dz_j x_j = weight dweight + bias dbias

    with the gradients of a norm, which torch computes in one pass:

        dweight = sum_j dz_j (u_j - mean) / sqrt(variance + eps),    dbias = sum_j dz_j
    """
    if norm is None:
        one = torch.ones(u.shape[1], dtype=torch.promote_types(u.dtype, torch.float32), device=u.device)
        return _of_norm(dz, u, 0 * one, one)[0]
    dweight, dbias = _of_norm(dz, u, norm.center, norm.inverse)
    return torch.addcmul(norm.weight * dweight, norm.bias, dbias)


def _of_norm(
    dz: Float[Tensor, "b c *grid"], u: Float[Tensor, "b c *grid"], mean: Float[Tensor, "c"], inverse: Float[Tensor, "c"]
) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c"]]:
    """dweight and dbias of every sample."""
    if dz.dtype != u.dtype:
        dtype = torch.promote_types(dz.dtype, u.dtype)
        dz, u = dz.to(dtype), u.to(dtype)
    b, grid = u.shape[0], u.shape[2:]
    if b == 1:
        dweight, dbias = _over_samples(dz, u, mean, inverse)
        return dweight[None], dbias[None]
    if u.is_contiguous():  # each channel of each sample is a channel of one sample
        mean, inverse = mean.repeat(b), inverse.repeat(b)
        dweight, dbias = _over_samples(dz.reshape(1, -1, *grid), u.reshape(1, -1, *grid), mean, inverse)
        return dweight.view(b, -1), dbias.view(b, -1)
    pairs = [_over_samples(dz[i : i + 1], u[i : i + 1], mean, inverse) for i in range(b)]
    dweight, dbias = zip(*pairs, strict=True)
    return torch.stack(dweight), torch.stack(dbias)


def _over_samples(dz: Tensor, u: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    mask, weight = [False, True, True], inverse  # neither gradient reads the weight, whose precision they get
    return torch.ops.aten.native_batch_norm_backward(dz, u, weight, None, None, mean, inverse, True, 0.0, mask)[1:]


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
