"""What one forward pass shows about maps: the shape of every module's output, and where layers have their channels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd, _AvgPoolNd, _MaxPoolNd

CHANNELS_FIRST = (_NormBase, nn.GroupNorm, _AvgPoolNd, _MaxPoolNd, _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd, nn.Upsample)
"""Layers of torch that work on axis 1, or on every axis after it; convolutions also take maps without a batch."""

Key = int | str | None
"""The place of a map in a module's output: an index, a key, or None for the output itself."""


class Visit(NamedTuple):
    """How often a module ran in the probe, and the map in its last output.

    `trouble` is None where the output has one floating-point map, otherwise the end of a sentence that begins with the
    module's name.
    """

    calls: int = 0
    shape: torch.Size = torch.Size()
    key: Key = None
    device: torch.device = torch.device("cpu")
    dtype: torch.dtype = torch.float32
    trouble: str | None = "never ran"


@dataclass
class Evidence:
    """The visits of one forward pass, and what its layers say about shapes.

    `axes` has the axes on which layers take or make channels, for each shape of a map; `grids` those of the maps of
    convolutions and of other layers with channels on axis 1.
    """

    visits: dict[nn.Module, Visit]
    axes: dict[torch.Size, set[int]] = field(default_factory=dict)
    grids: set[tuple[int, ...]] = field(default_factory=set)

    def write_down(self, module: nn.Module, args: tuple[Any, ...], given: Any, key: Key = None) -> None:
        """Add one call of a module."""
        self.visits[module] = visit(self.visits[module].calls + 1, given, key)
        for y in (*args[:1], given):
            axis = channel_axis(module, y) if isinstance(y, Tensor) and y.ndim >= 3 else None
            if axis is not None:
                self.axes.setdefault(y.shape, set()).add(axis)
                if axis == 1:
                    self.grids.add(tuple(y.shape[2:]))


def channel_axis(layer: nn.Module, y: Tensor) -> int | None:
    """The axis on which this layer has its channels in a map that it takes or makes; None if it says nothing."""
    if isinstance(layer, _ConvNd):
        return 1 if y.ndim == len(layer.kernel_size) + 2 else None  # one axis less is a map without a batch
    if isinstance(layer, CHANNELS_FIRST):
        return 1
    if isinstance(layer, nn.Linear) or type(layer).forward in (nn.LayerNorm.forward, nn.RMSNorm.forward):
        return y.ndim - 1
    # Other norms and scales, such as a layer norm over channels first: the one axis that is as long as their vectors.
    tensors = (*layer.parameters(recurse=False), *layer.buffers(recurse=False))
    widths = {t.numel() for t in tensors if t.ndim == 1 and t.numel() > 1}
    fitting = [axis for axis in range(1, y.ndim) if widths == {y.shape[axis]}]
    return fitting[0] if len(fitting) == 1 else None


def visit(calls: int, given: Any, key: Key) -> Visit:
    """The map in a module's output: the output itself, its item `key`, or the only map that it has."""
    if isinstance(given, Tensor):
        if key is not None:
            return Visit(calls, trouble=f"returns {describe(given)}, so output={key!r} does not apply; leave it out")
        return _map(calls, given, None)
    maps = [place for place, item in items(given) if is_map(item)]
    if key is not None:
        found = dict(items(given))
        if key not in found or not isinstance(found[key], Tensor):
            there = f"; it has maps at {', '.join(map(repr, maps))}" if maps else ""
            return Visit(calls, trouble=f"returns {describe(given)} without a tensor at output={key!r}{there}")
        return _map(calls, found[key], key)
    if not maps:
        return Visit(calls, trouble=f"returns {describe(given)}, and a block takes one tensor (b, c, *grid)")
    if len(maps) > 1:
        return Visit(
            calls,
            trouble=f"returns {describe(given)} with maps at {', '.join(map(repr, maps))}; choose one, "
            f"output={maps[0]!r}",
        )
    return _map(calls, dict(items(given))[maps[0]], maps[0])


def items(given: Any) -> Iterator[tuple[int | str, Any]]:
    """The items of a tuple, list or dict with their places; none for anything else."""
    if isinstance(given, tuple | list):
        yield from enumerate(given)
    elif isinstance(given, Mapping):
        yield from given.items()


def is_map(item: Any) -> bool:
    """Whether this is a floating-point tensor with a batch, channels and a grid."""
    return isinstance(item, Tensor) and item.is_floating_point() and item.ndim >= 3


def describe(output: Any) -> str:
    """`a tensor (1, 64, 8, 8) of torch.float32`, `a tuple of 2`."""
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)} of {output.dtype}"
    if isinstance(output, tuple | list | Mapping):
        return f"a {type(output).__name__} of {len(output)}"
    return f"a {type(output).__name__}"


def _map(calls: int, y: Tensor, key: Key) -> Visit:
    seen = Visit(calls, y.shape, key, y.device, y.dtype, trouble=None)
    if not y.is_floating_point():
        return seen._replace(trouble=f"returns {describe(y)}, and a block takes floating point")
    if y.ndim < 3:
        return seen._replace(trouble=f"returns {describe(y)}, which has no grid: a block takes (b, c, *grid)")
    return seen
