"""The attention of the blocks of a network for one pixel, recomputed for that query alone."""

import contextlib
import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wholeframe import ops
from wholeframe.blocks.context import ContextBlock
from wholeframe.blocks.protocol import Block
from wholeframe.surgery.placement import CHILD
from wholeframe.surgery.probe import evaluating


@dataclass(frozen=True)
class Attention:
    """Weights `(h, w)` over the keys of one block for one query; `cell` is the query's position on the block's grid.

    A block with one map for all queries, such as `GlobalContext`, has no query: `cell` is None.
    """

    site: str
    block: str
    cell: tuple[int, ...] | None
    weights: Tensor


def blocks_with_attention(network: nn.Module) -> dict[str, Block]:
    """The blocks of a network that have attention maps, by module name."""
    return {name: block for name, block in network.named_modules() if isinstance(block, Block) and block.has_attention}


@torch.no_grad()
def attention(network: nn.Module, image: Tensor, query: tuple[int, int], site: str | None = None) -> list[Attention]:
    """Compute the attention map of one pixel in the blocks of a network.

    The query of a block is the cell of its grid that contains the pixel. Only the rows of the attention matrix that
    belong to the query are computed, never the n x n matrix.

    Args:
        network: a network with inserted blocks; it runs once, in eval mode.
        image: `(1, 3, h, w)`, as the network takes it.
        query: the pixel `(y, x)`: row from the top, column from the left.
        site: the site of one block, such as `"layer3.4"`; None for every block with attention.

    Returns:
        One `Attention` per block, with weights `(h', w')` on the CPU, in the order in which the blocks run.

    Raises:
        ValueError: if the query lies outside the image, or no block (at this site) has attention.
    """
    size = (image.shape[-2], image.shape[-1])
    check_query(query, size)
    blocks = _chosen(blocks_with_attention(network), site)
    found = []
    for name, x in inputs_of(network, image, blocks).items():
        grid = x.shape[2:]
        cell = tuple(pixel * cells // side for pixel, cells, side in zip(query, grid, size, strict=True))
        weights = blocks[name].attention(x, [ops.flat_index(cell, grid)])[0, 0]
        own = None if isinstance(blocks[name], ContextBlock) else cell
        found.append(Attention(site_of(name), type(blocks[name]).__name__, own, weights.float().cpu()))
    return found


def check_query(query: tuple[int, int], size: tuple[int, int]) -> None:
    """Refuse a pixel `(y, x)` outside an image of `(height, width)`."""
    if not all(0 <= pixel < side for pixel, side in zip(query, size, strict=True)):
        raise ValueError(
            f"the query y={query[0]} x={query[1]} lies outside the image of {size[0]} x {size[1]} pixels: y counts "
            f"rows from the top, 0 to {size[0] - 1}, x columns from the left, 0 to {size[1] - 1}"
        )


def _chosen(blocks: dict[str, Block], site: str | None) -> dict[str, Block]:
    if not blocks:
        raise ValueError(
            "no block of this network has attention; blocks with attention are, for example, nl, gc and snl"
        )
    if site is None:
        return blocks
    chosen = {name: block for name, block in blocks.items() if site in (name, site_of(name))}
    if not chosen:
        raise ValueError(f"there is no block with attention at {site!r}; there are {', '.join(map(site_of, blocks))}")
    return chosen


def site_of(name: str) -> str:
    """The site of the block with this module name."""
    return name.removesuffix(f".{CHILD}")


def inputs_of(network: nn.Module, image: Tensor, blocks: dict[str, Block]) -> dict[str, Tensor]:
    """The input of every block in one forward pass over an image, or a batch of images."""
    seen: dict[str, Tensor] = {}

    def keep(name: str, _module: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen[name] = args[0]

    with evaluating(network), contextlib.ExitStack() as hooks:
        for name in blocks:
            hooks.enter_context(network.get_submodule(name).register_forward_pre_hook(functools.partial(keep, name)))
        network(image)
    return seen
