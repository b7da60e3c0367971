"""Context modelling: a whole map summarised in one vector (Cao et al., GCNet, 2019, section 3)."""

import torch
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.layout import wide


def mean_context(x: Float[Tensor, "b n c"]) -> Float[Tensor, "b c"]:
    """c = 1/n sum_j x_j, summed in float32 or better. Squeeze of SENet, average pooling of GCNet."""
    # The gradient of a sum is a view of one vector; that of a mean would be a whole map, in positions' order.
    return (x.sum(dim=1, dtype=torch.promote_types(x.dtype, torch.float32)) / x.shape[1]).to(x.dtype)


def std_context(x: Float[Tensor, "b n c"], eps: float) -> Float[Tensor, "b c"]:
    """c = sqrt(1/n sum_j (x_j - mean)^2 + eps), in float32 or better."""
    return (wide(x).var(dim=1, correction=0) + eps).sqrt().to(x.dtype)


def attention_weights(
    x: Float[Tensor, "b n c"], weight: Float[Tensor, "c"], bias: Float[Tensor, "1"] | None = None
) -> Float[Tensor, "b n"]:
    """a_j = softmax_j(w . x_j + beta), in float32 or better; beta cancels and is there for checkpoints."""
    with torch.autocast(x.device.type, enabled=False):
        # As a product of matrices: one with a vector would first copy a map into positions' order.
        logits = (wide(weight).expand(x.shape[0], 1, -1) @ wide(x).mT)[:, 0]
        return (logits if bias is None else logits + wide(bias)).softmax(dim=1)


def attention_context(
    x: Float[Tensor, "b n c"], weight: Float[Tensor, "c"], bias: Float[Tensor, "1"] | None = None
) -> Float[Tensor, "b c"]:
    """c = sum_j a_j x_j with the weights of `attention_weights`: attention with one learned query."""
    with torch.autocast(x.device.type, enabled=False):
        # A compiler does as well from the definition as we do by hand, and sees through it.
        pool = _attention_context if torch.compiler.is_compiling() else AttentionContextFunction.apply
        return pool(wide(x), wide(weight), None if bias is None else wide(bias)).to(x.dtype)


def _attention_context(x, weight, bias):
    return (attention_weights(x, weight, bias)[:, None] @ x)[:, 0]


class AttentionContextFunction(torch.autograd.Function):
    """The context with its gradient in one product: dx_j = a_j dc + dl_j w, where dl_j = a_j (x_j - c) . dc.

    Written out to save nothing but x and a, and to get dx in the order of a map, `(b, c, n)`. Second derivatives are
    those of the definition.
    """

    @staticmethod
    def forward(ctx, x, weight, bias):
        a = attention_weights(x, weight, bias)
        c = (a[:, None] @ x)[:, 0]
        ctx.save_for_backward(x, weight, bias, a, c)
        return c

    @staticmethod
    def backward(ctx, *gradients):
        (dc,) = gradients
        x, weight, bias, a, c = ctx.saved_tensors
        if torch.is_grad_enabled():
            inputs = [t for t in (x, weight, bias) if t is not None and t.requires_grad]
            found = iter(torch.autograd.grad(_attention_context(x, weight, bias), inputs, dc, create_graph=True))
            return tuple(next(found) if t is not None and t.requires_grad else None for t in (x, weight, bias))
        with torch.autocast(x.device.type, enabled=False):
            dl = a * ((x @ dc[:, :, None])[..., 0] - (c * dc).sum(dim=-1, keepdim=True))
            dx = torch.stack([dc, weight.expand_as(dc)], dim=2) @ torch.stack([a, dl], dim=1)
            return dx.mT, (dl[:, None] @ x).sum(dim=(0, 1)), None if bias is None else dl.sum()[None]
