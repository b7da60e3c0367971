"""How a block reads the output of its site: which axis has the channels, which part of a tuple is the map.

A block takes `(b, c, *grid)`. Networks also pass `(b, *grid, c)` and `(b, tokens, c)` between their layers, alone or
within a tuple, list or dict. The hook of a site rearranges views, so that the block never sees the difference.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torch.nn.modules.module import _has_any_global_hook

from wholeframe.blocks import ContextBlock
from wholeframe.blocks.recipe import SCRIPT_ELSE
from wholeframe.messages import one_of
from wholeframe.ops.autograd import in_transform
from wholeframe.ops.backends import in_graph

CHILD = "wholeframe"  # the block's name in its site, and so a part of state-dict keys
HANDLE = "_wholeframe_handle"

Axes = Literal["channels_first", "channels_last", "tokens"]


@dataclass(frozen=True)
class Layout:
    """The axes of a map: `(b, c, *grid)`, `(b, *grid, c)` or `(b, tokens, c)`.

    Args:
        axes: `"channels_first"`, `"channels_last"` or `"tokens"`.
        grid: of tokens, the sizes of the grid that they are the rows of, such as `(14, 14)`.
        extra: of tokens, how many precede those of the grid (class, distillation and register tokens). The block
            neither reads nor changes them.

    Raises:
        ValueError: for unknown axes, and for a grid or extra tokens where the axes already give the grid.
    """

    axes: Axes = "channels_first"
    grid: tuple[int, ...] | None = None
    extra: int = 0

    def __post_init__(self) -> None:
        one_of("axes", self.axes, get_args(Axes))
        if self.axes != "tokens" and (self.grid is not None or self.extra):
            raise ValueError(
                f"axes={self.axes!r} with grid={self.grid} and extra={self.extra}: only axes='tokens' takes these two"
            )
        if self.axes == "tokens" and (not self.grid or min(self.grid) < 1 or self.extra < 0):
            raise ValueError(
                f"axes='tokens' needs the sizes of the grid and at least 0 extra tokens, got grid={self.grid} and "
                f"extra={self.extra}; write grid=(14, 14)"
            )

    def sizes(self, shape: Sequence[int]) -> tuple[int, tuple[int, ...]]:
        """The channels and the grid of a map of this shape."""
        if self.axes == "channels_first":
            return shape[1], tuple(shape[2:])
        return shape[-1], tuple(shape[1:-1]) if self.grid is None else self.grid

    def to_block(self, y: Tensor) -> Tensor:
        """The map as the block takes it, `(b, c, *grid)`: a view."""
        if self.axes == "channels_first":
            return y
        if self.axes == "channels_last":
            return y.movedim(-1, 1)
        return y[:, self.extra :].unflatten(1, self.grid_of(y)).movedim(-1, 1)

    def from_block(self, z: Tensor, y: Tensor) -> Tensor:
        """The block's output `z` in the layout of `y`, the site's output."""
        if self.axes == "channels_first":
            return z
        if self.axes == "channels_last":
            return _stored_as(y, z.movedim(1, -1))
        tokens = z.movedim(1, -1).flatten(1, -2)
        return _stored_as(y, torch.cat([y[:, : self.extra], tokens], dim=1) if self.extra else tokens)

    def grid_of(self, y: Tensor) -> tuple[int, ...]:
        """The grid of the tokens of `y`: `grid`, or the grid of the same shape that has as many positions.

        Raises:
            ValueError: for a number of tokens that no such grid has.
        """
        assert self.grid is not None
        count = y.shape[1] - self.extra
        # Comparing with the example's size would tie a compiled or exported graph to it; what follows serves any size.
        compare = len(self.grid) > 2 or not torch.compiler.is_compiling()
        if isinstance(y, Proxy) or (compare and count == math.prod(self.grid)):  # symbolic_trace keeps the grid
            return self.grid
        ratio = (count / math.prod(self.grid)) ** (1 / len(self.grid))
        scaled = tuple(round(size * ratio) for size in self.grid)
        alike = len(self.grid) < 3 and math.prod(scaled) == count
        if not alike or any(abs(size * ratio - whole) > 1e-6 for size, whole in zip(self.grid, scaled, strict=True)):
            raise ValueError(
                f"the map has {count} tokens and the layout of this block has a grid of {grid_text(self.grid)}; "
                "tokens do not say which shape their grid has, so insert the block with an example= of this size"
            )
        return scaled

    def __str__(self) -> str:
        if self.axes != "tokens":
            return self.axes.replace("_", " ")
        apart = f", {self.extra} extra token{'s' * (self.extra > 1)} apart" if self.extra else ""
        order = " in no known order" if self.grid is not None and len(self.grid) == 1 else ""
        return f"tokens{order}{apart}"


def _stored_as(y: Tensor, z: Tensor) -> Tensor:
    """z in the strides of y: the host's next layer may call `view`, and sums in another order round otherwise."""
    if isinstance(y, Proxy) or y.is_contiguous():
        return z.contiguous()
    return torch.empty_like(y).copy_(z)


def refuse_other(model: object) -> None:
    """Raise TypeError for anything but a module."""
    if not isinstance(model, nn.Module):
        given = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise TypeError(f"model is {given}, and blocks are inserted into a network that is built: give an nn.Module")


class NamelessHook:
    """A hook that torch.jit.script cannot compile: it reads the name of every hook, so the refusal is there.

    An AttributeError, so that `getattr(hook, "__name__", None)` of other tools works as for every object.
    """

    @property
    def __name__(self) -> str:
        raise AttributeError(
            f"torch.jit.script cannot compile the hook by which wholeframe runs a block ({type(self).__name__} has no "
            f"__name__); {SCRIPT_ELSE}"
        )


class BlockHook(NamelessHook):
    """The forward hook of every site: it passes the site's map through the block. Pickles refer to it by this name.

    Args:
        layout: of the map.
        output: the index or key of the map in a tuple, list or dict; None where the site returns the map itself.
    """

    def __init__(self, layout: Layout, output: int | str | None = None):
        self.layout, self.output = layout, output

    def __call__(self, site: Any, _args: Any, given: Any) -> Any:
        block, layout = site._modules[CHILD], self.layout
        y = given if self.output is None else given[self.output]
        x = layout.to_block(y)
        z = layout.from_block(block(x, overwrite=True) if given_up_to(block, site, y) else block(x), y)
        return z if self.output is None else with_item(given, self.output, z)


# Layers whose output is a tensor of its own, which neither they nor their gradients need again.
MAKERS = {
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm, nn.Linear),
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
}


def given_up_to(block: nn.Module, site: nn.Module, y: Any) -> bool:
    """Whether the block may overwrite y, the output of its site: nothing else can have kept y.

    Not where a hook may have seen it, and not in a graph or a transform of `torch.func`, whose tensors stand for
    others.
    """
    if type(site) not in MAKERS or type(y) is not Tensor or type(block).forward is not ContextBlock.forward:
        return False
    if len(site._forward_hooks) > 1 or "forward" in site.__dict__ or "forward" in block.__dict__:
        return False
    context: Any = block._modules["context"]  # read directly: every site asks at every call
    seen = block._forward_hooks or block._forward_pre_hooks or context._forward_hooks or context._forward_pre_hooks
    return not (seen or _has_any_global_hook() or in_graph() or in_transform())


def with_item(given: Any, key: int | str, value: Any) -> Any:
    """A copy of a tuple, list or dict with another item in one place; the host's own object stays as it is."""
    if not isinstance(given, tuple):
        given = copy.copy(given)
        given[key] = value
        return given
    items = [value if index == key else item for index, item in enumerate(given)]
    return type(given)(*items) if hasattr(given, "_fields") else type(given)(items)  # a named tuple takes its fields


def hook_of(site: nn.Module) -> BlockHook | None:
    """The hook that `insert` registered on this very module."""
    return next((hook for hook in site._forward_hooks.values() if isinstance(hook, BlockHook)), None)


def has_block(site: nn.Module) -> bool:
    """Whether `insert` attached a block to this very module."""
    return hook_of(site) is not None


def attach(site: nn.Module, block: nn.Module, layout: Layout, output: int | str | None = None) -> None:
    """Make the block a child of the site, and hook it to the site's output."""
    site.add_module(CHILD, block)
    # PyTorch numbers hooks per process. An unpickled site must carry its handle: loading the handle raises the counter;
    # without it the next hook that is registered on this site could get our hook's number and silently replace it.
    setattr(site, HANDLE, site.register_forward_hook(BlockHook(layout, output)))


def detach(site: nn.Module) -> None:
    """Undo `attach`, also where a tool has left only a part of it."""
    if HANDLE in site.__dict__:
        site.__dict__.pop(HANDLE).remove()
    if CHILD in site._modules:
        delattr(site, CHILD)


def in_block(key: str) -> bool:
    """Whether a parameter with this state-dict key belongs to an inserted block."""
    return CHILD in key.split(".")


def grid_text(grid: Sequence[int]) -> str:
    """`14 x 14`."""
    return " x ".join(map(str, grid))
