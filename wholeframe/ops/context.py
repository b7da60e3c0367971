"""Context modelling: a whole map summarised in one vector (Cao et al., GCNet, 2019, section 3)."""

import torch
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.layout import wide


def mean_context(x: Float[Tensor, "b n c"]) -> Float[Tensor, "b c"]:
    """c = 1/n sum_j x_j, summed in float32 or better. Squeeze of SENet, average pooling of GCNet."""
    return x.mean(dim=1, dtype=torch.promote_types(x.dtype, torch.float32)).to(x.dtype)


def std_context(x: Float[Tensor, "b n c"], eps: float) -> Float[Tensor, "b c"]:
    """c = sqrt(1/n sum_j (x_j - mean)^2 + eps), in float32 or better."""
    return (wide(x).var(dim=1, correction=0) + eps).sqrt().to(x.dtype)


def attention_weights(
    x: Float[Tensor, "b n c"], weight: Float[Tensor, "c"], bias: Float[Tensor, "1"] | None = None
) -> Float[Tensor, "b n"]:
    """a_j = softmax_j(w . x_j + beta), in float32 or better; beta cancels and is there for checkpoints."""
    with torch.autocast(x.device.type, enabled=False):
        logits = wide(x) @ wide(weight)
        return (logits if bias is None else logits + wide(bias)).softmax(dim=1)


def attention_context(
    x: Float[Tensor, "b n c"], weight: Float[Tensor, "c"], bias: Float[Tensor, "1"] | None = None
) -> Float[Tensor, "b c"]:
    """c = sum_j a_j x_j with the weights of `attention_weights`: attention with one learned query."""
    weights = attention_weights(x, weight, bias)
    with torch.autocast(x.device.type, enabled=False):
        return (weights[:, None] @ wide(x))[:, 0].to(x.dtype)
