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
from wholeframe.surgery.placement import grid_text, refuse_other
from wholeframe.surgery.probe import evaluating

NUMBERS = 2**24
"""of `rows`: queries times keys times channels at a time, which a Euclidean distance holds: 64 MiB of them"""

REASONS = {
    "elsewhere": "no region that the head of the detector looks at contains the query {at}, so these blocks have no "
    "map: {sites}; give a pixel on an object that is found",
    "nothing": "the detector finds no object, so these blocks of its heads have no map: {sites}",
    "alike": "these blocks weigh all positions alike and have no map: {sites}",
    "unordered": "it is not known where in the input these blocks have their positions, so they have no map: {sites}",
    "covering": "an operation before these blocks has lost the place of their grid, which is taken to cover the input "
    "evenly: {sites}",
    "idle": "these blocks do not run for this input and have no map: {sites}",
}
"""what is said about blocks without a map, or without a known place"""

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
        ValueError: for more than one sample, for a network without blocks, and for an input that it does not take.
        TypeError: for anything but a network that is built.
    """

    def __init__(self, network: nn.Module, x: Any):
        refuse_other(network)
        blocks = outer_blocks(network)
        if not blocks:
            raise ValueError(
                f"{type(network).__name__} has no wholeframe block to look into; insert one first, such as "
                "wf.insert(network, wf.NonLocal, at=SITE)"
            )
        self.size = sample_of(x).size
        """sizes of the input: `(h, w)`, or `(t, h, w)` of a clip"""
        try:
            passed = runs_of(network, x, blocks)
        except Exception as error:  # Networks raise anything for an input that they do not take.
            first = (str(error).splitlines() or [""])[0]
            raise ValueError(
                f"{type(network).__name__} does not run on this input ({type(error).__name__}: {first}); give x as the "
                "network takes it: a tensor, [image] for a detector, a tuple or a dict of arguments"
            ) from error
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
        found: list[Attention] = []
        reasons: dict[str, list[str]] = {}
        for run in chosen:
            records, reason = self._answer(run, query)
            found += records
            if reason is not None:
                reasons.setdefault(reason, []).append(run.site)
        if self.idle and site is None:
            reasons["idle"] = self.idle
        notes = [REASONS[reason].format(at=_named(query), sites=listed(sites)) for reason, sites in reasons.items()]
        if not found:
            raise ValueError("; ".join(notes))
        if query is None and any(record.cell is not None for record in found):
            notes.append(
                "no query is given, so the blocks that need one look from the centre of the input, or of the first "
                "region of a detector's head"
            )
        return found, notes

    @torch.no_grad()
    def rows(self, site: str, cells: Sequence[Sequence[int]] | Tensor) -> Tensor:
        """The weights of many queries of one block, as `Attention.weights` has them.

        Args:
            site: of a block whose map depends on the query; one of `sites`. Of a block in the head of a detector, the
                first region is taken.
            cells: positions on the block's grid, `(q, rank)`.

        Returns:
            `(q, *key_grid)`, float32 on the CPU.

        Raises:
            ValueError: for an unknown site, a cell outside the grid, and a block whose map depends on no query.
        """
        (run, *_) = self._chosen(site)
        grid = run.seen.x.shape[2:]
        index = [ops.flat_index(tuple(map(int, cell)), grid) for cell in cells]
        step = max(NUMBERS // math.prod(run.seen.x.shape[1:]), 1)
        parts = []
        with evaluating(run.block):
            for start in range(0, len(index), step):
                looks = looks_of(run.block, run.seen.x[:1], index[start : start + step])
                pairwise = [look for look in looks if look.kind == "pairwise"]
                if not pairwise:
                    raise ValueError(f"the block at {run.site} has no map that depends on a query; take `attention`")
                parts.append(pairwise[0].weights[0].float().cpu())
        return torch.cat(parts) if parts else torch.zeros(0, *grid)

    def _answer(self, run: Run, query: Pixel | None) -> tuple[list[Attention], str | None]:
        """The records of one run, and the key in `REASONS` of what is to be said about it."""
        seen, own = run.seen, tuple(run.seen.x.shape[2:])
        sample = 0
        if query is not None:
            holding = [k for k, frame in enumerate(seen.frames) if frame.contains(query)]
            if seen.regions:
                sample = holding[0] if holding else -1
            elif seen.parts:
                sample = holding[0] if holding else _nearest(seen.frames, query)
        if not seen.frames or sample < 0:
            return [], "elsewhere" if seen.frames else "nothing"
        axes = tuple(range(len(self.size))) if seen.axes is None else seen.axes
        placed = len(axes) == len(own) and len(seen.frames) == len(seen.x)
        sizes = dict(zip(axes, own, strict=False))
        grid = tuple(sizes.get(axis, 1) if placed else 1 for axis in range(len(self.size)))
        frame = seen.frames[sample]
        pixel = query
        if pixel is None:
            middle = frame if seen.regions or seen.parts else Frame.whole(self.size)
            pixel = tuple(map(int, middle.centre((0,) * len(grid), (1,) * len(grid))))
        cell = frame.cell(pixel, grid)
        with evaluating(run.block):
            looks = looks_of(run.block, seen.x[sample : sample + 1], [ops.flat_index(cell, grid)])
        if not looks:
            return [], "alike"
        if not placed:
            looks = tuple(look for look in looks if look.kind == "channel" and len(seen.x) == 1)
        records = [self._record(run, look, frame, cell, grid, pixel) for look in looks]
        if not placed and not records:
            return [], "unordered"
        lost = seen.axes is None and any(look.kind != "channel" for look in looks)
        return records, "covering" if lost else None

    def _record(
        self, run: Run, look: Look, frame: Frame, cell: tuple[int, ...], grid: tuple[int, ...], pixel: Pixel
    ) -> Attention:
        depends = look.kind == "pairwise"
        weights = (look.weights[0, 0] if depends else look.weights[0]).float().cpu()
        key_frame = frame
        if look.kind != "channel":
            for axis, size in enumerate(grid):
                if weights.ndim < len(grid) and size == 1:  # An axis that the batch of the block has.
                    weights = weights.unsqueeze(axis)
            window = look.window
            if window is None or len(window) != len(grid):
                window = tuple(cells // count for cells, count in zip(grid, weights.shape, strict=True))
            key_frame = keys_of(frame, grid, weights.shape, window)
        return Attention(
            site=run.site,
            block=type(run.block).__name__,
            kind=look.kind,
            cell=cell if depends else None,
            grid=grid,
            frame=frame,
            weights=weights,
            key_frame=key_frame,
            rule=look.rule,
            region=run.seen.regions or run.seen.parts,
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


def _named(query: Pixel | None) -> str:
    """`y=3 x=4`."""
    return "" if query is None else " ".join(f"{name}={at}" for name, at in zip(_axes(len(query)), query, strict=True))


def _axes(rank: int) -> Sequence[str]:
    return AXES.get(rank, [f"axis{k}" for k in range(rank)])


def _nearest(frames: Sequence[Frame], pixel: Pixel) -> int:
    """The frame whose centre is nearest to a pixel."""

    def distance(frame: Frame) -> float:
        ones = (1,) * len(pixel)
        return math.dist(frame.centre((0,) * len(pixel), ones), [at + 0.5 for at in pixel])

    return min(range(len(frames)), key=lambda k: distance(frames[k]))


def keys_of(frame: Frame, grid: Sequence[int], keys: Sequence[int], window: Sequence[int]) -> Frame:
    """The frame of pooled keys: each has a window of whole cells, and the last cells have no key if they fill none."""
    intervals = []
    for (start, end), cells, count, width in zip(frame.intervals, grid, keys, window, strict=True):
        covered = width * count
        intervals.append((start, end if covered == cells else start + (end - start) * covered / cells))
    return Frame(tuple(intervals))


def check_query(query: Any, size: Sequence[int]) -> Pixel:
    """The query as whole numbers; ValueError for one that is no pixel of an input of this size."""
    names = _axes(len(size))
    form = f"({', '.join(names)})"
    if isinstance(query, str) or not hasattr(query, "__len__") or len(query) != len(size):
        raise ValueError(f"the query {query!r} is not a position {form} in an input of {grid_text(size)}; give {form}")
    try:
        pixel = tuple(operator.index(at) for at in query)
    except TypeError:
        raise ValueError(
            f"the query {tuple(query)!r} has a part that is not a whole number; pixels are counted from 0, so give "
            f"whole numbers {form}"
        ) from None
    if not all(0 <= at < side for at, side in zip(pixel, size, strict=True)):
        what = {2: "image", 3: "clip"}.get(len(size), "input")
        last = [f"0 to {side - 1}" for side in size]
        counts = {"t": "t counts frames", "y": "y counts rows from the top", "x": "x columns from the left"}
        ranges = ", ".join(f"{counts.get(name, name)}, {span}" for name, span in zip(names, last, strict=True))
        unit = " pixels" if len(size) == 2 else ""
        raise ValueError(f"the query {_named(pixel)} lies outside the {what} of {grid_text(size)}{unit}: {ranges}")
    return pixel
