"""The attention of the blocks of a network for one pixel, recomputed for that query alone."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wholeframe import ops
from wholeframe.blocks.context import ContextBlock
from wholeframe.blocks.protocol import Block
from wholeframe.explain.seen import Cell, Frame, Seen, seen_by
from wholeframe.messages import listed
from wholeframe.surgery.placement import CHILD


@dataclass(frozen=True)
class Attention:
    """Weights `(h, w)` over the keys of one block for one query; `cell` is the query's position on the block's grid.

    A block with one map for all queries, such as `GlobalContext`, has no query: `cell` is None. The keys cover the
    rectangle `frame` of the image, in pixels: None for the whole image; it reaches beyond the image where a detector
    has padded it; and it is a part of the image for a block that sees regions (`region`).
    """

    site: str
    block: str
    cell: tuple[int, ...] | None
    weights: Tensor
    frame: Frame | None = None
    region: bool = False

    def on_padding(self, size: Cell) -> float:
        """The share of the weights, by magnitude, that lies outside an image of `(height, width)` pixels."""
        if self.frame is None:
            return 0.0
        top, left, bottom, right = self.frame
        rows, columns = self.weights.shape
        within = torch.outer(_within(top, bottom, rows, size[0]), _within(left, right, columns, size[1]))
        total = self.weights.abs().sum().item()
        return 1 - (self.weights.abs() * within).sum().item() / total if total else 0.0


def _within(start: float, end: float, cells: int, side: int) -> Tensor:
    """The share of each cell, `cells` from `start` to `end`, between 0 and `side`."""
    edges = torch.linspace(start, end, cells + 1, dtype=torch.float64)
    return edges.clamp(0, side).diff() / edges.diff()


def blocks_with_attention(network: nn.Module) -> dict[str, Block]:
    """The blocks of a network that have attention maps, by module name."""
    return {name: block for name, block in network.named_modules() if isinstance(block, Block) and block.has_attention}


def attention(
    network: nn.Module, image: Tensor | Sequence[Tensor], query: tuple[int, int], site: str | None = None
) -> list[Attention]:
    """Compute the attention map of one pixel in the blocks of a network.

    The query of a block is the cell of its grid that contains the centre of the pixel. Only the rows of the attention
    matrix that belong to the query are computed, never the n x n matrix.

    A detector of torchvision scales and pads the image itself: the query and `Attention.frame` are in pixels of the
    image that is given. A block in one of its heads sees a grid per region, and its map is that of the first region
    that contains the query; in a keypoint or mask head this is the object with the highest score.

    Args:
        network: a network with inserted blocks; it runs once, in eval mode.
        image: one image as the network takes it, `(1, 3, h, w)`, or for a detector `[image]` with `(3, h, w)`.
        query: the pixel `(y, x)`: row from the top, column from the left.
        site: the site of one block, such as `"layer3.4"`; None for every block with attention.

    Returns:
        One `Attention` per block, with weights `(h', w')` on the CPU, in the order in which the blocks run. A warning
        names the blocks without a map: those that do not run, and those of which no region contains the query.

    Raises:
        ValueError: if there is more than one image, the query lies outside the image, no block (at this site) has
            attention, or none of them has a map.
    """
    found, notes = look(network, image, query, site)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return found


@torch.no_grad()
def look(
    network: nn.Module, image: Tensor | Sequence[Tensor], query: tuple[int, int], site: str | None = None
) -> tuple[list[Attention], list[str]]:
    """`attention`, with sentences about the blocks without a map in place of the warnings."""
    if len(image) != 1:
        raise ValueError(f"attention is drawn on one image, and {len(image)} are given; give image[:1]")
    size = (image[0].shape[-2], image[0].shape[-1])
    check_query(query, size)
    blocks = _chosen(blocks_with_attention(network), site)
    seen = seen_by(network, image, blocks)
    found = {name: _map(name, blocks[name], seen[name], query, size) for name in seen}
    idle = [site_of(name) for name in blocks if name not in seen]
    elsewhere = [site_of(name) for name, attention in found.items() if attention is None]
    notes = []
    if elsewhere:
        notes.append(
            f"no region that the head of the detector looks at contains the query y={query[0]} x={query[1]}, so these "
            f"blocks have no map: {listed(elsewhere)}; give a pixel on an object that is found"
        )
    if idle:
        notes.append(f"these blocks do not run for this image and have no map: {listed(idle)}")
    maps = [attention for attention in found.values() if attention is not None]
    if not maps:
        raise ValueError("; ".join(notes))
    return maps, notes


def _map(name: str, block: Block, seen: Seen, query: Cell, size: Cell) -> Attention | None:
    """The map of one block; None if none of its regions contains the query."""
    grid = seen.x.shape[2:]
    if len(grid) != 2:
        raise ValueError(
            f"the block at {site_of(name)} sees a grid of {' x '.join(map(str, grid))}, and only one of rows and "
            "columns is drawn on an image; call `block.attention(x, query)` with the input of the block instead"
        )
    for sample, frame in enumerate(seen.frames):
        cell = frame.cell(query, grid)
        if cell is not None:
            weights = block.attention(seen.x[sample : sample + 1], [ops.flat_index(cell, grid)])[0, 0].float().cpu()
            own = None if isinstance(block, ContextBlock) else cell
            reached = None if frame == Frame(0, 0, *size) else frame
            return Attention(site_of(name), type(block).__name__, own, weights, reached, seen.regions)
    return None


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
