"""Whether the strongest key of a query of the task `recall` lies on the marker of its answer."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wholeframe.data.synthetic import STRIDE
from wholeframe.explain.attention import Attention, Pixel
from wholeframe.explain.recording import Recording

MARKER = 1
"""pixels from the centre of a marker to its edge, that of the centre not counted"""


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
    found = []
    for image, pairs in zip(images, places, strict=True):
        recording = Recording(network, image[None])
        for query, answer in pairs.tolist():
            labelled = tuple(at // STRIDE * STRIDE for at in query)
            (record,), _ = recording.look(labelled, site)
            found.append(lies_on(record, answer))
    return torch.tensor(found).double().mean().item()


def lies_on(record: Attention, marker: Pixel | Sequence[int]) -> bool:
    """Whether the cell of the strongest key overlaps with the marker that has its centre at this pixel."""
    keys = record.weights.shape
    cell = torch.unravel_index(record.weights.argmax(), keys)
    for at, cells, (start, end), centre in zip(cell, keys, record.key_frame.intervals, marker, strict=True):
        step = (end - start) / cells
        low = start + step * int(at)
        if not (low < centre + MARKER + 1 and low + step > centre - MARKER):
            return False
    return True
