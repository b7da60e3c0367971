"""Whether the model's output depends on its new blocks: a block without influence never trains."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from wholeframe.surgery.probe import Call, deviation, outputs


def without_influence(model: nn.Module, call: Call, blocks: Mapping[str, nn.Module], before: list[Tensor]) -> list[str]:
    """The sites, from the last one on, whose blocks the model's output does not depend on.

    In a vision transformer that reads only its class token, these are blocks after the last layer. The search ends at
    the first block with influence, because maps before it reach the output through it. A model whose output does not
    depend on its input either, such as one with a head of zeros, shows nothing.
    """
    found = []
    for name, block in reversed(list(blocks.items())):
        handle = block.register_forward_hook(_disturb)
        try:
            after = outputs(model, call)
        finally:
            handle.remove()
        if deviation(before, after) != 0:
            break
        found.append(name)
    return found[::-1] if found and deviation(before, outputs(model, _flipped(call))) != 0 else []


def _flipped(call: Call) -> Call:
    """The call with its images mirrored."""

    def mirrored(leaf: Tensor) -> Tensor:
        return leaf.flip(-1) if leaf.is_floating_point() and leaf.ndim else leaf

    return Call(*pytree.tree_map_only(Tensor, mirrored, tuple(call)))


def _disturb(_block: nn.Module, _args: object, z: Tensor) -> Tensor:
    """Add a pattern that no norm takes out again, without random numbers, which the model may draw itself."""
    return z + torch.linspace(-1, 1, z.numel(), dtype=z.dtype, device=z.device).view_as(z.contiguous())
