"""A function of a product, whose gradient computes the product again instead of keeping it.

A norm keeps its input for its gradient, and W_z y is an input as large as the map. Its factors are kept anyway, for the
gradient of the product. It is worth it where the product is a small part of a training step: in CGNL, whose W_z is one
matrix per group, a twenty-fifth. In a non-local block it is a twelfth, and W_z y is kept.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._C import _autograd  # pyright: ignore[reportAttributeAccessIssue]
from torch.autograd.graph import saved_tensors_hooks

from wholeframe.ops.autograd import in_transform
from wholeframe.ops.backends import in_graph

SMALL = 2**18
"""bytes; a smaller product is kept: at 7 x 7 positions the calls that avoid it take a twentieth of a forward pass"""


def recomputed(function: Callable[[Tensor], Tensor], product: Callable[..., Tensor], *factors: Tensor | None) -> Tensor:
    """function(product(*factors)), which keeps the factors in the place of the product.

    Everything that it keeps goes through the hooks that are active, as for a checkpoint or on the way to a disk, the
    factors too. A graph decides by itself what it keeps, and transforms of `torch.func` allow no hooks.

    Args:
        function: of the product, which may keep other tensors as well.
        product: has the same numbers at every call, and holds no tensor but its arguments.
        factors: tensors or None; a change in place before the gradient is an error.
    """
    z = product(*factors)
    if in_graph() or not z.requires_grad or z.nbytes < SMALL or in_transform() or not _hooks_are_allowed():
        return function(z)
    pack, unpack = _autograd._top_saved_tensors_default_hooks(True) or (_same, _same)
    place, shape = z.untyped_storage()._cdata, z.shape

    def keep(tensor: Tensor) -> Any:
        if tensor.untyped_storage()._cdata != place or tensor.shape != shape:
            return pack(tensor)
        packed = [factor if factor is None else pack(factor) for factor in factors]
        return _Again(product, packed, unpack, _versions(factors), tensor.device.type, _autocast_dtype(tensor))

    with saved_tensors_hooks(keep, lambda kept: kept.computed() if isinstance(kept, _Again) else unpack(kept)):
        found = function(z)
    del factors  # from `keep` too, which lives as long as the graph: other hooks may have put them elsewhere
    return found


class _Again(NamedTuple):
    """A product to compute from its packed factors, in the precision that it had."""

    product: Callable[..., Tensor]
    packed: Sequence[Any]
    unpack: Callable[[Any], Tensor]
    versions: Sequence[int]
    device: str
    autocast: torch.dtype | None

    def computed(self) -> Tensor:
        factors = [factor if factor is None else self.unpack(factor) for factor in self.packed]
        if self.unpack is _same and _versions(factors) != self.versions:
            raise RuntimeError(
                "a weight of a block has changed in place between its forward pass and its gradient, which computes a "
                "part of the pass again; change it after the gradient"
            )
        with torch.no_grad():
            if self.device == "meta":  # without autocast
                return self.product(*factors)
            with torch.autocast(self.device, self.autocast, enabled=self.autocast is not None, cache_enabled=False):
                return self.product(*factors)


def _autocast_dtype(x: Tensor) -> torch.dtype | None:
    device = x.device.type
    return torch.get_autocast_dtype(device) if device != "meta" and torch.is_autocast_enabled(device) else None


def _hooks_are_allowed() -> bool:
    return _autograd._saved_tensors_hooks_is_enabled()  # pyright: ignore[reportAttributeAccessIssue]


def _versions(factors: Sequence[Tensor | None]) -> list[int]:
    return [factor._version for factor in factors if factor is not None]


def _same(tensor: Tensor) -> Tensor:
    return tensor
