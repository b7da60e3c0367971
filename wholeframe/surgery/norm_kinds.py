"""What became of the batch norms of a network, as data: frozen, synchronised, or frozen by torchvision."""

from collections.abc import Callable, Mapping
from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.ops import FrozenBatchNorm2d

from wholeframe.blocks import Affine
from wholeframe.surgery.norms import folded, replace_norms, synchronised
from wholeframe.surgery.placement import in_block

NormKind = Literal["frozen", "synchronised", "FrozenBatchNorm2d"]


def norm_kinds(network: nn.Module) -> dict[str, NormKind]:
    """The names of the norms that are not ordinary batch norms, and what they are.

    Frozen norms of blocks are part of the recipes of these blocks, and are left out.
    """
    found: dict[str, NormKind] = {}
    for name, module in network.named_modules(remove_duplicate=False):
        if isinstance(module, nn.SyncBatchNorm):
            found[name] = "synchronised"
        elif isinstance(module, FrozenBatchNorm2d):
            found[name] = "FrozenBatchNorm2d"
        elif isinstance(module, Affine) and module.frozen and not in_block(name):
            found[name] = "frozen"
    return found


def set_norm_kinds(network: nn.Module, kinds: Mapping[str, NormKind]) -> None:
    """Make the batch norms of a network what `norm_kinds` says; their blocks stay.

    Raises:
        ValueError: for a name that is not that of a batch norm.
    """
    here, modules = norm_kinds(network), dict(network.named_modules(remove_duplicate=False))
    norms: dict[str, _BatchNorm] = {}
    new: dict[_BatchNorm, nn.Module] = {}
    for name, kind in kinds.items():
        if here.get(name) == kind:
            continue
        norm = modules.get(name)
        if not isinstance(norm, _BatchNorm):
            found = "absent" if norm is None else f"a {type(norm).__name__}"
            raise ValueError(f"{name!r} is to be a {kind} batch norm, and is {found} in the network")
        norms[name] = norm
        if norm not in new:
            new[norm] = MAKE[kind](norm)
    replace_norms(network, norms, new)


MAKE: dict[NormKind, Callable[[_BatchNorm], nn.Module]] = {
    "frozen": folded,
    "synchronised": synchronised,
    "FrozenBatchNorm2d": lambda norm: FrozenBatchNorm2d(norm.num_features, norm.eps),
}
