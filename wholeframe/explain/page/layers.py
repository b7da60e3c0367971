"""What a page holds of every block: its weights from every query, with the sentences that say what they are."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wholeframe import ops
from wholeframe.blocks.looks import looks_of
from wholeframe.explain.attention import Attention
from wholeframe.explain.frame import Frame
from wholeframe.explain.page.packed import Packed, packed
from wholeframe.explain.page.thinned import Grid, covered, middles, patches, steps, summed
from wholeframe.explain.recording import Recording, Run
from wholeframe.messages import counted
from wholeframe.surgery.placement import grid_text
from wholeframe.surgery.probe import evaluating

PAIRS = 2**21
"""Weights of one block: at most 2.7 MiB of text."""

PAGE = 2**24
"""Weights of all blocks of a page."""

AT_ONCE = 2**22
"""Weights that are computed at a time, before patches of keys are summed."""

KINDS = {
    "pairwise": "Every query has a map of its own: its weights over the keys.",
    "shared": "One map for all queries: a click does not change it.",
    "channel": "One gate per channel, the same at every position.",
    "position": "One gate per position, the same for every channel.",
}


@dataclass(frozen=True)
class Layer:
    """One block of a page.

    Attributes:
        found: its record in the first of its parts.
        parts: where the grid of each part lies, in pixels of the picture: one for a block that sees the whole input,
            several for one that sees regions, windows or frames, each by itself.
        rows: weights `(parts x queries, keys)`; one row per part for a block whose weights depend on no query.
        objects: whether the parts are regions that a detector has chosen.
        covariance: `(c', c')`, of a block with one part that has such a matrix.
        step: side of the patches of queries, of which the middle is stored.
        key_step: side of the patches of keys, whose weights are summed.
    """

    found: Attention
    parts: tuple[Frame, ...]
    rows: Packed
    objects: bool = False
    covariance: Packed | None = None
    step: int = 1
    key_step: int = 1

    @property
    def keys(self) -> Grid:
        return tuple(self.found.weights.shape)


def layers_of(recording: Recording, factors: tuple[float, ...]) -> tuple[list[Layer], list[str]]:
    """The layers of all blocks in the order in which they run, and sentences about what is left out or not known.

    Args:
        recording: the pass of the network.
        factors: pixels of the picture per pixel of the input, for each axis.

    Raises:
        ValueError: no block has anything to show.
    """
    found, said = recording.look()
    pairwise = sum(record.kind == "pairwise" for record in found)
    # The last sentence says that there is no query: on a page the reader chooses it.
    notes = [_sentence(note) for note in (said[:-1] if pairwise else said)]
    most = min(PAIRS, PAGE // max(pairwise, 1))
    runs = {run.site: run for run in recording.runs}
    layers = []
    for record in found:
        try:
            layers.append(_layer(runs[record.site], record, factors, most))
        except ValueError as error:
            notes.append(f"{record.block} at {record.site} is left out: {error}.")
    if not layers:
        raise ValueError(" ".join(notes))
    return layers, notes


def _layer(run: Run, found: Attention, factors: tuple[float, ...], most: int) -> Layer:
    frames = run.seen.frames if found.region else run.seen.frames[:1]
    step, key_step, queries, keys = 1, 1, [(0,) * len(found.grid)], tuple(found.weights.shape)
    if found.kind == "pairwise":
        step, key_step = steps(found.grid, keys, most // len(frames))
        queries = middles(found.grid, step)
    rows = torch.cat([_rows(run, found, part, queries, key_step) for part in range(len(frames))])
    matrix = found.covariance if len(frames) == 1 else None
    return Layer(
        found,
        tuple(frame.scaled(factors) for frame in frames),
        packed(_finite(rows)),
        run.seen.regions,
        None if matrix is None else packed(_finite(matrix)),
        step,
        key_step,
    )


@torch.no_grad()
def _rows(run: Run, found: Attention, part: int, queries: list[Grid], key_step: int) -> Tensor:
    """The weights `(queries, keys)` of one part."""
    keys = tuple(found.weights.shape)
    batch = max(AT_ONCE // math.prod(keys), 1)
    rows = []
    with evaluating(run.block):
        for start in range(0, len(queries), batch):
            index = [ops.flat_index(query, found.grid) for query in queries[start : start + batch]]
            looks = looks_of(run.block, run.seen.x[part : part + 1], index)
            (weights,) = (look.weights[0] for look in looks if look.kind == found.kind)
            each = weights.float().cpu().reshape(-1, *keys)
            rows.append((each if key_step == 1 else summed(each, key_step)).flatten(1))
    return torch.cat(rows)


def _finite(weights: Tensor) -> np.ndarray:
    if not weights.isfinite().all():
        raise ValueError("some of its weights are not finite numbers")
    return weights.numpy()


def says(layer: Layer) -> list[str]:
    """What the weights of a layer are, how exactly they are stored, and what is left out, a sentence each."""
    found, rows, count = layer.found, layer.rows, len(layer.parts)
    told = [KINDS[found.kind]]
    told.append(
        "The weights of a row are probabilities: their sum is 1." if found.rule is None else _sentence(found.rule)
    )
    if layer.objects:
        told.append(
            f"The block sees {counted(count, 'region')} that the detector has chosen, each by itself; the first that "
            "contains the position that you choose is shown."
        )
    elif count > 1:
        told.append(f"The block sees {count} parts of the input, each by itself; the part at the position is shown.")
    told.append(
        f"Stored with 8 bits: a weight differs from the exact one by at most {rows.error:.2g}, or {rows.share:.2%} of "
        "the largest weight of its row (measured on all of these weights)."
    )
    if layer.step > 1:
        told.append(
            f"The grid of {grid_text(found.grid)} has too many queries for a page: of each {layer.step} x {layer.step} "
            "cells the middle one is here."
        )
    if layer.key_step > 1:
        told.append(
            f"The grid of {grid_text(layer.keys)} has too many keys for a page: the weights of each {layer.key_step} x "
            f"{layer.key_step} cells are added."
        )
    if layer.covariance is not None:
        told.append(
            "The matrix is the covariance that the gates are computed from, stored within "
            f"{layer.covariance.error:.2g}."
        )
    elif found.covariance is not None:
        told.append("The covariance that the gates are computed from, one per part, is not on this page.")
    return told


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def as_data(layer: Layer) -> dict[str, Any]:
    """A layer as the script of the page reads it: all grids have three axes, and time has one cell in an image."""
    found, gates = layer.found, layer.found.kind == "channel"
    parts = []
    for frame in layer.parts:
        part = {"frame": _three(covered(frame.intervals, found.grid, layer.step), (0, 1))}
        if not gates:
            keys = _keys_of(frame, found)
            part["key_frame"] = _three(covered(keys, layer.keys, layer.key_step), (0, 1))
        parts.append(part)
    return {
        "site": found.site,
        "block": found.block,
        "kind": found.kind,
        "objects": layer.objects,
        "parts": parts,
        "signed": layer.rows.data["power"] == 1,
        "rows": layer.rows.data,
        "covariance": layer.covariance and layer.covariance.data,
        "says": says(layer),
        "step": layer.step,
        "key_step": layer.key_step,
        "cells": _three(found.grid, 1),
        "grid": _three(patches(found.grid, layer.step), 1),
        "key_cells": _three(layer.keys, 1),
        "keys": _three(layer.keys if gates else patches(layer.keys, layer.key_step), 1),
    }


def _keys_of(frame: Frame, found: Attention) -> list[tuple[float, float]]:
    """The intervals of the keys of a part; they lie in its frame as those of the record lie in its own."""
    intervals = []
    for (start, end), (own, last), keys in zip(
        frame.intervals, found.frame.intervals, found.key_frame.intervals, strict=True
    ):
        scale = (end - start) / (last - own)
        intervals.append(tuple(start + (side - own) * scale for side in keys))
    return intervals


def _three(axes: Any, first: Any) -> list[Any]:
    return [*[first] * (3 - len(axes)), *axes]
