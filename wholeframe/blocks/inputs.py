"""Inputs that are no ordinary map: the proxy of a tracer, for which a block is one call, and maps that it refuses."""

from typing import Any

from torch import Tensor
from torch.fx import Proxy


def leaf_or_refuse(block: Any, x: Any) -> Any:
    """One call of the block in the graph of `torch.fx`, or the reason why the block does not take x.

    Blocks test for the rare cases in their `forward` and come here only then, so an ordinary map costs no call.

    Raises:
        ValueError: for a map without a grid, of other channels, of integers or complex numbers, or with no position;
            and for a block that is the root of a trace.
    """
    name = type(block).__name__
    if isinstance(x, Proxy):
        tracer: Any = x.tracer
        path = "" if block is tracer.root else tracer.path_of_module(block)
        if not path:
            raise ValueError(
                f"{name} is one call in a traced graph, and here it is the root of the trace; trace the network that "
                "contains it, or torch.nn.Sequential(block)"
            )
        return tracer.create_proxy("call_module", path, (x,), {})
    assert isinstance(x, Tensor)
    shape = tuple(x.shape)
    if x.ndim < 3:
        raise ValueError(
            f"{name} takes maps (b, c, *grid), and the shape {shape} has no grid; add one, as in x[..., None]"
        )
    if x.shape[1] != block.channels:
        raise ValueError(
            f"{name}({block.channels}) takes maps (b, {block.channels}, *grid), and the shape {shape} has "
            f"{shape[1]} channels; build it with {shape[1]}, or move the channels to axis 1"
        )
    if not x.is_floating_point():
        raise ValueError(f"{name} takes maps of real floating-point numbers, got {x.dtype}; give x.float() or x.real")
    raise ValueError(f"the map {shape} has an empty grid, and no position is there to sum; give at least one")
