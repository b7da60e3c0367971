"""Whether the strongest key of a query of the task `recall` lies on the marker of its answer."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from wholeframe.data.synthetic import STRIDE, places_of_recall, recall
from wholeframe.explain.attention import Attention, Pixel, blocks_with_attention
from wholeframe.explain.recording import Recording

IMAGES = 32
"""images of the figure: 192 queries"""

MARKER = 1
"""pixels from the centre of a marker to its edge, that of the centre not counted"""


def on_answer(network: nn.Module, seed: int, images: int = IMAGES) -> float | None:
    """The share of queries whose strongest key lies on the marker of the answer, on new images of `recall`.

    Args:
        network: takes images of `recall`.
        seed: of the images.
        images: their number; each has six queries.

    Returns:
        From 0 to 1: of several blocks that depend on the query, the largest share. None without such a block.
    """
    if not blocks_with_attention(network):
        return None
    samples, places = recall(images, seed)[0], places_of_recall(images, seed)
    found, _ = Recording(network, samples[:1]).look((0, 0))
    sites = dict.fromkeys(record.site for record in found if record.kind == "pairwise")
    return max((strongest_on_answers(network, samples, places, site) for site in sites), default=None)


def strongest_on_answers(network: nn.Module, images: Tensor, places: Tensor, site: str) -> float:
    """The share of the queries of `recall` whose strongest key lies on the marker of the answer.

    The query is the cell that has the label. A key lies on a marker of 3 x 3 pixels if its cell overlaps with it.

    Args:
        network: with a block at `site` whose weights depend on the query; it runs once per image, in eval mode.
        images, places: of `recall` and `places_of_recall`.
        site: of the block.

    Returns:
        From 0 to 1.
    """
    hits = queries = 0
    for image, pairs in zip(images, places, strict=True):
        recording = Recording(network, image[None])
        for query, answer in pairs.tolist():
            labelled = tuple(at // STRIDE * STRIDE for at in query)
            records, _ = recording.look(labelled, site)
            (record,) = (each for each in records if each.kind == "pairwise")
            hits, queries = hits + lies_on(record, answer), queries + 1
    return hits / queries


def lies_on(record: Attention, marker: Pixel | Sequence[int]) -> bool:
    """Whether the cell of the strongest key overlaps with the marker that has its centre at this pixel."""
    keys = record.weights.shape
    cell = [int(at) for at in np.unravel_index(int(record.weights.argmax()), keys)]
    for at, cells, (start, end), centre in zip(cell, keys, record.key_frame.intervals, marker, strict=True):
        step = (end - start) / cells
        low = start + step * at
        if not (low < centre + MARKER + 1 and low + step > centre - MARKER):
            return False
    return True
