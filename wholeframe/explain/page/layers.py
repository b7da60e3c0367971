"""What a page holds of every block: its weights from every query, with the sentences that say what they are."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wholeframe.explain.attention import Attention
from wholeframe.explain.page.packed import Packed, packed
from wholeframe.explain.page.thinned import Grid, covered, middles, patches, steps, summed
from wholeframe.explain.recording import Recording
from wholeframe.messages import listed
from wholeframe.surgery.placement import grid_text

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
        found: its record, with frames in pixels of the picture.
        rows: weights `(queries, keys)`; one row for a block whose weights depend on no query.
        covariance: `(c', c')`, where the block has one.
        step: side of the patches of queries, of which the middle is stored.
        key_step: side of the patches of keys, whose weights are summed.
    """

    found: Attention
    rows: Packed
    covariance: Packed | None = None
    step: int = 1
    key_step: int = 1

    @property
    def keys(self) -> Grid:
        return tuple(self.found.weights.shape)


def layers_of(recording: Recording, factors: tuple[float, ...]) -> tuple[list[Layer], list[str]]:
    """The layers of all blocks in the order in which they run, and a sentence for each that is left out.

    Args:
        recording: the pass of the network.
        factors: pixels of the picture per pixel of the input, for each axis.

    Raises:
        ValueError: no block has anything to show.
    """
    found, _ = recording.look()
    shown = {record.site for record in found}
    notes = []
    if without := [site for site in recording.sites if site not in shown]:
        notes.append(f"These blocks have no map for this input: {listed(without, most=50)}.")
    if recording.idle:
        notes.append(f"These blocks do not run for this input: {listed(recording.idle, most=50)}.")
    pairwise = sum(record.kind == "pairwise" for record in found)
    most = min(PAIRS, PAGE // max(pairwise, 1))
    layers = []
    for record in found:
        try:
            layers.append(_layer(recording, record.scaled(factors), most))
        except ValueError as error:
            notes.append(f"{record.block} at {record.site} is left out: {error}.")
    if not layers:
        raise ValueError(" ".join(notes))
    return layers, notes


def _layer(recording: Recording, found: Attention, most: int) -> Layer:
    matrix = None if found.covariance is None else packed(_finite(found.covariance))
    if found.kind != "pairwise":
        return Layer(found, packed(_finite(found.weights.reshape(1, -1))), matrix)
    keys = tuple(found.weights.shape)
    step, key_step = steps(found.grid, keys, most)
    queries = middles(found.grid, step)
    batch = max(AT_ONCE // math.prod(keys), 1)
    rows = torch.cat(
        [
            summed(recording.rows(found.site, queries[start : start + batch]), key_step)
            for start in range(0, len(queries), batch)
        ]
    )
    return Layer(found, packed(_finite(rows.flatten(1))), matrix, step, key_step)


def _finite(weights: Tensor) -> np.ndarray:
    if not weights.isfinite().all():
        raise ValueError("some of its weights are not finite numbers")
    return weights.numpy()


def says(layer: Layer) -> list[str]:
    """What the weights of a layer are, how exactly they are stored, and what is left out, a sentence each."""
    found, rows = layer.found, layer.rows
    told = [KINDS[found.kind]]
    told.append(
        "The weights of a row are probabilities: their sum is 1." if found.rule is None else _sentence(found.rule)
    )
    if found.region:
        told.append("The block sees regions: the map is that of the first region, the object with the highest score.")
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
    return told


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def as_data(layer: Layer) -> dict[str, object]:
    """A layer as the script of the page reads it: all grids have three axes, and time has one cell in an image."""
    found = layer.found
    keys = patches(layer.keys, layer.key_step)
    data = {
        "site": found.site,
        "block": found.block,
        "kind": found.kind,
        "region": found.region,
        "signed": layer.rows.data["power"] == 1,
        "rows": layer.rows.data,
        "covariance": layer.covariance and layer.covariance.data,
        "says": says(layer),
        "step": layer.step,
        "key_step": layer.key_step,
        "cells": _three(found.grid, 1),
        "grid": _three(patches(found.grid, layer.step), 1),
        "frame": _three(covered(found.frame.intervals, found.grid, layer.step), (0, 1)),
    }
    if found.kind == "channel":
        return {**data, "key_cells": _three(keys, 1), "keys": _three(keys, 1), "key_frame": data["frame"]}
    intervals = covered(found.key_frame.intervals, layer.keys, layer.key_step)
    return {**data, "key_cells": _three(layer.keys, 1), "keys": _three(keys, 1), "key_frame": _three(intervals, (0, 1))}


def _three(axes, first):
    return [*[first] * (3 - len(axes)), *axes]
