"""One forward pass of a network, from which any number of queries are answered."""

import math
import operator
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wholeframe import ops
from wholeframe.blocks.looks import Look, looks_of
from wholeframe.explain.attention import Attention, Pixel, outer_blocks, site_of
from wholeframe.explain.frame import Frame
from wholeframe.explain.seen import Seen, runs_of, sample_of
from wholeframe.messages import did_you_mean, listed
from wholeframe.surgery.placement import grid_text
from wholeframe.surgery.probe import evaluating

ROWS = 2**24
"""weights that `rows` computes at a time: 64 MiB of them"""

AXES = {1: ("x",), 2: ("y", "x"), 3: ("t", "y", "x")}


@dataclass(frozen=True)
class Run:
    """One run of one block: the block, and what it saw."""

    site: str
    name: str
    block: Any
    seen: Seen


class Recording:
    """What the blocks of a network see in one forward pass, and the answers for any query.

        recording = Recording(network, x)
        recording.attention((120, 80))

    The network runs once, in eval mode; later answers run the blocks alone.

    Args:
        network: a network with blocks; it must not change while the recording is used.
        x: one sample, see `wholeframe.attention`.

    Raises:
        ValueError: for more than one sample, and for a network without blocks.
    """

    def __init__(self, network: nn.Module, x: Any):
        blocks = outer_blocks(network)
        if not blocks:
            raise ValueError(
                f"{type(network).__name__} has no wholeframe block to look into; insert one first, such as "
                "wf.insert(network, wf.NonLocal, at=SITE)"
            )
        self.size = sample_of(x).size
        """sizes of the input: `(h, w)`, or `(t, h, w)` of a clip"""
        passed = runs_of(network, x, blocks)
        counts = {name: sum(name == other for other, _ in passed) for name in blocks}
        numbers = dict.fromkeys(blocks, 0)
        self.runs: list[Run] = []
        for name, seen in passed:
            numbers[name] += 1
            site = site_of(name, network)
            label = site if counts[name] == 1 else f"{site} (run {numbers[name]} of {counts[name]})"
            self.runs.append(Run(label, name, blocks[name], seen))
        self.idle = [site_of(name, network) for name in blocks if counts[name] == 0]

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites of the blocks in the order in which they run."""
        return tuple(run.site for run in self.runs)

    def attention(self, query: Pixel | None = None, site: str | None = None) -> list[Attention]:
        """The records of one query, or of none; see `wholeframe.attention`."""
        found, notes = self.look(query, site)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return found

    @torch.no_grad()
    def look(self, query: Pixel | None = None, site: str | None = None) -> tuple[list[Attention], list[str]]:
        """`attention`, with sentences in place of the warnings."""
        if query is not None:
            query = check_query(query, self.size)
        chosen = self._chosen(site)
        found, without, elsewhere = [], [], []
        for run in chosen:
            maps = self._records(run, query)
            found += maps or []
            (elsewhere if maps is None else without if not maps else []).append(run.site)
        notes = []
        if query is None and any(record.cell is not None for record in found):
            notes.append("no query is given, so the blocks that need one look from the centre of the input")
        if elsewhere and query is not None:
            at = " ".join(f"{axis}={value}" for axis, value in zip(AXES[len(query)], query, strict=True))
            notes.append(
                f"no region that the head of the detector looks at contains the query {at}, so these blocks have no "
                f"map: {listed(elsewhere)}; give a pixel on an object that is found"
            )
        elif elsewhere:
            notes.append(
                f"the detector finds nothing here, so these blocks of its heads have no map: {listed(elsewhere)}"
            )
        if without:
            notes.append(f"these blocks weigh all positions alike and have no map: {listed(without)}")
        if self.idle and site is None:
            notes.append(f"these blocks do not run for this input and have no map: {listed(self.idle)}")
        if not found:
            raise ValueError("; ".join(notes))
        return found, notes

    @torch.no_grad()
    def rows(self, site: str, cells: Sequence[Sequence[int]] | Tensor) -> Tensor:
        """The weights of many queries of one block, as `Attention.weights` has them.

        Args:
            site: of a block whose map depends on the query; one of `sites`.
            cells: positions on the block's grid, `(q, rank)`.

        Returns:
            `(q, *key_grid)`, float32 on the CPU.

        Raises:
            ValueError: for an unknown site, a cell outside the grid, and a block whose map depends on no query.
        """
        (run, *_) = self._chosen(site)
        grid = run.seen.x.shape[2:]
        index = [ops.flat_index(tuple(map(int, cell)), grid) for cell in cells]
        step = max(ROWS // math.prod(grid), 1)
        parts = []
        with evaluating(run.block):
            for start in range(0, len(index), step):
                looks = looks_of(run.block, run.seen.x[:1], index[start : start + step])
                pairwise = [look for look in looks if look.kind == "pairwise"]
                if not pairwise:
                    raise ValueError(f"the block at {run.site} has the same map for every query; take `attention`")
                parts.append(pairwise[0].weights[0].float().cpu())
        return torch.cat(parts)

    def _records(self, run: Run, query: Pixel | None) -> list[Attention] | None:
        """The records of one run; None if none of its regions contains the query."""
        x, grid = run.seen.x, tuple(run.seen.x.shape[2:])
        pixel = tuple(side // 2 for side in self.size) if query is None else query
        for sample, frame in enumerate(run.seen.frames):
            if run.seen.regions and query is not None and not frame.contains(pixel):
                continue
            if len(grid) != len(self.size):
                raise ValueError(
                    f"the block at {run.site} sees a grid of {grid_text(grid)} and the input has {len(self.size)} "
                    "axes, so no position of one is known in the other; call `block.attention(x, query)` with the "
                    "input of the block instead"
                )
            cell = frame.cell(pixel, grid)
            with evaluating(run.block):
                looks = looks_of(run.block, x[sample : sample + 1], [ops.flat_index(cell, grid)])
            return [self._record(run, look, frame, cell, grid, pixel) for look in looks]
        return None

    def _record(
        self, run: Run, look: Look, frame: Frame, cell: tuple[int, ...], grid: tuple[int, ...], pixel: Pixel
    ) -> Attention:
        weights = (look.weights[0, 0] if look.kind == "pairwise" else look.weights[0]).float().cpu()
        depends = look.kind == "pairwise"
        return Attention(
            site=run.site,
            block=type(run.block).__name__,
            kind=look.kind,
            cell=cell if depends else None,
            grid=grid,
            frame=frame,
            weights=weights,
            key_frame=frame if look.kind == "channel" else keys_of(frame, grid, weights.shape),
            rule=look.rule,
            region=run.seen.regions,
            covariance=None if look.covariance is None else look.covariance[0].float().cpu(),
            query=pixel if depends else None,
        )

    def _chosen(self, site: str | None) -> list[Run]:
        chosen = [run for run in self.runs if site in (None, run.name, run.site, run.site.partition(" (run ")[0])]
        if not chosen and site is not None:
            if site in self.idle:
                raise ValueError(f"the block at {site} does not run for this input and has no map")
            there = [*self.sites, *self.idle]
            raise ValueError(f"there is no block at {site!r}; there are {', '.join(there)}{did_you_mean(site, there)}")
        return chosen


def keys_of(frame: Frame, grid: Sequence[int], keys: Sequence[int]) -> Frame:
    """The frame of pooled keys: each has a window of whole cells, and the last cells have no key if they fill none."""
    intervals = []
    for (start, end), cells, count in zip(frame.intervals, grid, keys, strict=True):
        covered = cells // count * count
        intervals.append((start, end if covered == cells else start + (end - start) * covered / cells))
    return Frame(tuple(intervals))


def check_query(query: Any, size: Sequence[int]) -> Pixel:
    """The query as whole numbers; ValueError for one that is no pixel of an input of this size."""
    names = AXES.get(len(size), tuple(f"axis {k}" for k in range(len(size))))
    form = f"({', '.join(names)})"
    if isinstance(query, str) or not hasattr(query, "__len__") or len(query) != len(size):
        raise ValueError(f"the query {query!r} is not a position {form} of an input of {grid_text(size)}; give {form}")
    try:
        pixel = tuple(operator.index(at) for at in query)
    except TypeError:
        raise ValueError(
            f"the query {tuple(query)!r} has parts that are not whole numbers, and pixels are counted; give whole "
            f"numbers {form}, each from 0"
        ) from None
    if not all(0 <= at < side for at, side in zip(pixel, size, strict=True)):
        at = " ".join(f"{name}={value}" for name, value in zip(names, pixel, strict=True))
        what, counts = "image", "y counts rows from the top, {}, x columns from the left, {}"
        if len(size) == 3:
            what, counts = "clip", f"t counts frames, {{}}, {counts}"
        elif len(size) != 2:
            what, counts = "input", ", ".join(f"{name} is {{}}" for name in names)
        ranges = counts.format(*(f"0 to {side - 1}" for side in size))
        unit = " pixels" if len(size) == 2 else ""
        raise ValueError(f"the query {at} lies outside the {what} of {grid_text(size)}{unit}: {ranges}")
    return pixel
