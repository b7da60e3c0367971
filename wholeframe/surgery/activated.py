"""Batch norms that do more than normalise: timm's have the activation inside.

A tool that replaces such a layer by its class drops what comes after the norm. Whether that is all it does is tried on
random numbers, because a class does not say it.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wholeframe.blocks import Affine
from wholeframe.surgery.placement import CHILD, BlockHook


class AffineThen(Affine):
    """y = f(s x + b): a frozen norm, and then its children."""

    def forward(self, x: Tensor) -> Tensor:
        return then_children(self, super().forward(x))


class SyncBatchNormThen(nn.SyncBatchNorm):
    """y = f(SyncBN(x)): a synchronised norm, and then its children."""

    def forward(self, input: Tensor) -> Tensor:
        return then_children(self, super().forward(input))


def then_children(norm: nn.Module, y: Tensor) -> Tensor:
    """y through all children of a norm, but not through its block, which a hook runs."""
    for child in own_children(norm).values():
        y = child(y)
    return y


def own_children(norm: nn.Module) -> dict[str, nn.Module]:
    """The children without the block."""
    return {name: child for name, child in norm.named_children() if name != CHILD}


def is_plain(norm: _BatchNorm) -> bool:
    """Whether the forward pass of a batch norm is torch's own."""
    own = (_BatchNorm.forward, nn.SyncBatchNorm.forward)
    return "forward" not in norm.__dict__ and type(norm).forward in own


def refuse_norm(name: str, norm: _BatchNorm) -> None:
    """ValueError for a batch norm that computes what a replacement would not."""
    hooks = [*norm._forward_pre_hooks.values(), *norm._forward_hooks.values()]
    kind = type(norm).__name__
    if any(not isinstance(hook, BlockHook) for hook in hooks):
        raise ValueError(f"the {kind} {name!r} has a hook, which its replacement would not run; remove the hook first")
    if not is_plain(norm) and not _norm_then_children(norm):
        raise ValueError(
            f"the {kind} {name!r} computes more than a batch norm followed by its children, so a replacement would "
            f"change the network; replace it by an nn.BatchNorm and the rest of the {kind} as modules of their own"
        )


@torch.no_grad()
def _norm_then_children(norm: _BatchNorm) -> bool:
    """Whether the layer in eval mode gives what its norm and then its children give, on random numbers."""
    flags = {module: module.training for module in norm.modules()}
    tensor = next(iter([*norm.parameters(), *norm.buffers()]), torch.empty(0))
    for module in flags:
        module.training = False
    try:
        for rank in (2, 1, 3, 0):
            grid = (5,) * rank
            x = torch.randn(4, norm.num_features, *grid, generator=torch.Generator().manual_seed(0))
            x = (3 * x).to(tensor.device, tensor.dtype if tensor.is_floating_point() else x.dtype)
            try:
                given = norm.forward(x.clone())
                expected = then_children(norm, _BatchNorm.forward(norm, x.clone()))
            except Exception:  # a layer for maps of another rank
                continue
            return not given.is_meta and torch.equal(given, expected)
        return False
    finally:
        for module, training in flags.items():
            module.training = training
