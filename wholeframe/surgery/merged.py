"""A context block on the output of a 1 x 1 convolution, computed from the input of the convolution, for inference.

    x_i = W h_i + b,    z_i = x_i * gate + v

The summary of x is linear in that of h, and h has fewer channels (a quarter, in a bottleneck):

    w_k . x_j = (W^T w_k) . h_j + const,    sum_j a_j x_j = W (sum_j a_j h_j) + b
    z_i = (gate W) h_i + (gate b + v)

so the block makes no pass over x: its gate and its vector are in the weight and the bias of the convolution. The
constant changes no softmax, and the first linear layer of a transform is merged with W as well.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholeframe import ops
from wholeframe.blocks import AttentionContext, Bottleneck, ContextBlock, LinearTransform, MeanContext
from wholeframe.blocks.context import GATES
from wholeframe.blocks.plain import WEIGHTS
from wholeframe.ops.backends import full_precision, in_graph
from wholeframe.ops.layout import everywhere
from wholeframe.surgery.baked import Baked
from wholeframe.surgery.placement import CHILD, BlockHook

CONVOLUTIONS = {nn.Conv1d: F.conv1d, nn.Conv2d: F.conv2d, nn.Conv3d: F.conv3d}
KNOWN = {*CONVOLUTIONS, nn.Linear, nn.LayerNorm, nn.BatchNorm1d, nn.Identity}
PARTS = "multiply", "add"


def merges(conv: nn.Module, block: nn.Module, hook: BlockHook) -> bool:
    """Whether the block can be computed from the input of the convolution that feeds it, and gains from it."""
    if type(conv) not in CONVOLUTIONS or not isinstance(block, ContextBlock) or not _as_built(block):
        return False
    assert isinstance(conv, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    rank = len(conv.kernel_size)
    pointwise = (conv.kernel_size, conv.stride, conv.padding) == ((1,) * rank, (1,) * rank, (0,) * rank)
    context = block.context
    one_query = isinstance(context, AttentionContext) and context.heads == 1
    return (
        pointwise
        and conv.groups == 1
        and conv.in_channels < conv.out_channels
        and conv.weight.dtype.itemsize >= 4
        and (one_query or type(context) is MeanContext)
        and hook.output is None
        and hook.layout.axes == "channels_first"
    )


class Merged(Baked):
    """z = block(conv(h)), without a pass of the block over the output of the convolution.

    `lift_multiply` and `lift_add` map the summary of h to the hidden layer of each transform, and `query` is W^T w_k.
    Where something observes or changes the block or the convolution, or an output has a gradient, both are called as
    usual.
    """

    def __init__(self, conv: nn.Module, block: nn.Module, hook: BlockHook):
        super().__init__(conv, block, hook)
        assert isinstance(block, ContextBlock)  # `merges`
        with torch.no_grad():
            weight = conv.get_parameter("weight").flatten(1).double()
            bias = conv.get_parameter("bias").double()
            context = block.context
            query = None
            if isinstance(context, AttentionContext):
                query = (context.scale * context.logits.weight.squeeze(0).double() @ weight).to(
                    conv.get_parameter("weight")
                )
            self.register_buffer("query", query)
            for part in PARTS:
                transform = getattr(block, part)
                lift = None if transform is None else _lift(transform, weight, bias)
                self.add_module(f"lift_{part}", None if lift is None else lift.to(conv.get_parameter("weight")))
        self.eval()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) != 1 or kwargs or not self._undisturbed(args[0]):
            return super().forward(*args, **kwargs)
        h, conv, block = args[0], self.site, self.wholeframe
        summary = ops.mean_context(h) if self.query is None else ops.attention_context(h, self.query)
        gate = vector = None
        if block.multiply is not None:
            gate = GATES[block.gate](_vector(block.multiply, self.lift_multiply, summary, conv))
        if block.add is not None:
            vector = _vector(block.add, self.lift_add, summary, conv)
        return _gated_conv(h, conv, gate, vector)

    def _undisturbed(self, h: Any) -> bool:
        """Whether the block and the convolution are as they were built, and the input is an ordinary map."""
        conv: Any = self.site
        block = self.get_submodule(CHILD)
        return (
            isinstance(h, Tensor)
            and h.ndim == len(conv.kernel_size) + 2
            and h.shape[1] == conv.in_channels
            and 0 not in h.shape[2:]
            and not h.requires_grad
            and not conv.weight.requires_grad
            and full_precision(h)
            and _as_built(conv, block)
        )


def _as_built(*modules: nn.Module) -> bool:
    """Whether no hook, tool or replaced forward acts on modules or their parts, all of known classes."""
    left: list[nn.Module | None] = [*modules]
    while left:
        module = left.pop()
        if module is None:
            continue
        kind, own = type(module), module.__dict__  # read directly: this runs at every call
        if own["_forward_hooks"] or own["_forward_pre_hooks"] or "forward" in own:
            return False
        if kind not in KNOWN and not kind.__module__.startswith("wholeframe.blocks."):
            return False
        if type(own["_parameters"].get("weight")) not in WEIGHTS:
            return False
        left.extend(own["_modules"].values())
    return True


def _lift(transform: nn.Module, weight: Tensor, bias: Tensor) -> nn.Linear | None:
    """The first linear layer of a transform after W and b, as one; None for a transform that starts otherwise."""
    first = transform.reduce if isinstance(transform, Bottleneck) else None
    first = transform.expand if isinstance(transform, LinearTransform) else first
    if not isinstance(first, nn.Linear):
        return None
    lift = nn.Linear(weight.shape[1], first.out_features)
    matrix = first.weight.double()
    shift = matrix @ bias + (0 if first.bias is None else first.bias.double())
    lift.weight, lift.bias = nn.Parameter(matrix @ weight), nn.Parameter(shift)
    return lift


def _vector(transform: nn.Module, lift: nn.Linear | None, summary: Tensor, conv: Any) -> Tensor:
    """The transform of the summary of x, from the summary of h."""
    if lift is None:
        return transform(F.linear(summary, conv.weight.flatten(1), conv.bias))
    return transform(summary, lift) if isinstance(transform, Bottleneck) else F.linear(summary, lift.weight, lift.bias)


def _gated_conv(h: Tensor, conv: Any, gate: Tensor | None, vector: Tensor | None) -> Tensor:
    """gate (W h + b) + v. One sample has them in weight and bias, as long as that is fewer numbers than the output."""
    weight, bias = conv.weight, conv.bias
    if not in_graph() and h.shape[0] == 1:
        if gate is not None and h.shape[2:].numel() > h.shape[1]:
            weight, bias, gate = weight * gate.view(-1, *(1,) * (h.ndim - 1)), bias * gate[0], None
        if gate is None and vector is not None:
            bias, vector = bias + vector[0], None
    z = CONVOLUTIONS[type(conv)](h, weight, bias)
    if in_graph():  # an exported graph has no operation that changes its input
        z = z if gate is None else z * everywhere(gate, z)
        return z if vector is None else z + everywhere(vector, z)
    z = z if gate is None else z.mul_(everywhere(gate, z))
    return z if vector is None else z.add_(everywhere(vector, z))
