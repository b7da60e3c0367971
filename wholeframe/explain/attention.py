"""What every block of a network looks at, for chosen queries: one record per block and query."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from wholeframe.blocks.looks import Kind
from wholeframe.blocks.protocol import Block
from wholeframe.explain.frame import Frame
from wholeframe.surgery.baked import baked_names, old_name
from wholeframe.surgery.placement import CHILD

Pixel = tuple[int, ...]


@dataclass(frozen=True)
class Attention:
    """The weights of one block: over the keys for one query, or one map, or a factor per channel or position.

    Args:
        site: of the block, such as `"layer3.4"`; a block that runs several times has a record for each run, such as
            `"head.0 (run 2 of 5)"`.
        block: the name of its class.
        kind: `"pairwise"`, `"shared"`, `"channel"` or `"position"`, see `wholeframe.blocks.looks.Kind`.
        cell: the query on `grid`; None unless the weights depend on the query.
        grid: the sizes of the grid of queries, that of the block's input: `(h, w)`, or `(t, h, w)` for a clip.
        frame: where `grid` lies in the input.
        weights: `(*key_grid)`, or `(c,)` for `"channel"`; float32 on the CPU.
        key_frame: where the grid of the keys lies in the input.
        rule: what the weights are, in a sentence, where they are not probabilities; None where they are.
        region: whether the frame is a part of the image, one that the head of a detector looks at.
        covariance: of GSoP, the matrix `(c', c')` that the factors are computed from.
        query: the pixel that was given; None unless the weights depend on the query.
    """

    site: str
    block: str
    kind: Kind
    cell: tuple[int, ...] | None
    grid: tuple[int, ...]
    frame: Frame
    weights: Tensor
    key_frame: Frame
    rule: str | None = None
    region: bool = False
    covariance: Tensor | None = None
    query: Pixel | None = None

    def scaled(self, factors: Sequence[float]) -> "Attention":
        """The same record with its frames in other pixels, such as those of the photograph that was scaled."""
        return replace(self, frame=self.frame.scaled(factors), key_frame=self.key_frame.scaled(factors))

    def on_padding(self, size: Sequence[int]) -> float:
        """The share of the weights, by magnitude, on keys whose centre lies outside an input of this size."""
        if self.kind == "channel":
            return 0.0
        heat = self.weights.double().abs()
        total = heat.sum().item()
        for axis, ((start, end), side) in enumerate(zip(self.key_frame.intervals, size, strict=True)):
            cells = heat.shape[axis]
            inside = [0 <= start + (end - start) * (cell + 0.5) / cells < side for cell in range(cells)]
            heat = heat[(slice(None),) * axis + (inside,)]
        return 1 - heat.sum().item() / total if total else 0.0


def attention(
    network: nn.Module,
    x: Any,
    query: Pixel | list[Pixel] | None = None,
    site: str | None = None,
) -> list[Attention]:
    """Compute what the blocks of a network look at from one position of their input, or from several.

    The network runs once, in eval mode. Only the rows of the attention matrix that belong to the queries are computed,
    never the n x n matrix. `Recording` keeps the pass and answers further queries.

    Args:
        network: a network with blocks.
        x: one sample as the network takes it: an image `(1, c, h, w)`, a clip `(1, c, t, h, w)` or `(1, t, c, h, w)`;
            a list, such as `[image]` with `(3, h, w)` for a detector; a tuple of positional or a dict of keyword
            arguments.
        query: a pixel `(y, x)`, row from the top and column from the left, or `(t, y, x)` with the frame of a clip; a
            list of them; None for the maps that need no query, where all other blocks take the centre of the input.
        site: the site of one block, such as `"layer3.4"`; None for every block.

    Returns:
        One `Attention` per block and query: the records of the first query, in the order in which the blocks run, then
        those of the second. A block that gates channels and positions has one of each. A map that depends on no query
        is there once per query. A warning says what was chosen or left out: blocks without a map, blocks that do not
        run, the centre in place of a query, a place in the input that is not known.

    Raises:
        ValueError: for more than one sample, a query outside the input or of another number of axes, a site without a
            block, and a network none of whose blocks has a map.
    """
    from wholeframe.explain.recording import Recording  # It makes the records of this module.

    recording = Recording(network, x)
    queries: Any = query if several(query) else [query]
    found: list[Attention] = []
    notes: dict[str, None] = {}
    for each in queries:
        maps, said = recording.look(each, site)
        found += maps
        notes |= dict.fromkeys(said)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return found


def several(query: Any) -> bool:
    """Whether these are several queries: a list of positions, or an array of two axes."""
    if hasattr(query, "ndim"):
        return query.ndim == 2
    return isinstance(query, Sequence) and len(query) > 0 and isinstance(query[0], list | tuple)


def outer_blocks(network: nn.Module) -> dict[str, Block]:
    """The blocks of a network by module name, without those that are a part of another block."""
    found: dict[str, Block] = {}
    for name, module in network.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(module, Block) and not inside:
            found[name] = module
    return found


def blocks_with_attention(network: nn.Module) -> dict[str, Block]:
    """The blocks of a network that weigh positions, by module name."""
    return {name: block for name, block in outer_blocks(network).items() if block.has_attention}


def site_of(name: str, network: nn.Module | None = None) -> str:
    """The site of the block with this module name; in a baked network, its name before `bake`."""
    return old_name(name, baked_names(network) if network is not None else ()).removesuffix(f".{CHILD}")
