"""The task `recall` for clips: the answer to a query is in another place, in another frame, or both.

Frames of 16 x 16 pixels have four cells of 8 x 8. A clip of four frames contains six pairs of a query and its answer,
as in `wholeframe.data.synthetic.recall`: two pairs in one frame, two at the same place of two frames, and two that
differ in both. So attention within a frame solves a third of the queries, attention along time another third, and
attention over space and time all of them.

The videos of the tasks `recall_cut` and `recall_long` have eight frames. All queries are in the first four, and the
answers of three of the six pairs are in the last four. `recall_cut` shows the first half: a network that answers
everything it can see reaches an accuracy of 0.75. `recall_long` shows all eight frames.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from wholeframe.data.synthetic import CELL, IGNORE, STRIDE, hues, paint, rgb

SIDE = 16
PLACES = (SIDE // CELL) ** 2
PAIRS = 6

Cell = tuple[int, int]  # (frame, place)
SHORT: tuple[tuple[Cell, Cell], ...] = (
    ((0, 0), (0, 1)),
    ((1, 2), (1, 3)),
    ((2, 0), (3, 0)),
    ((2, 1), (3, 1)),
    ((0, 2), (3, 3)),
    ((1, 0), (2, 3)),
)
"""The query and the answer of every pair in a clip of four frames, before frames and places are permuted."""

LONG: tuple[tuple[Cell, Cell], ...] = (
    ((0, 0), (0, 1)),
    ((1, 2), (2, 2)),
    ((1, 0), (3, 3)),
    ((2, 1), (4, 1)),
    ((3, 0), (6, 2)),
    ((0, 3), (7, 0)),
)
"""The same in eight frames; the last three answers are in the second half."""


def recall_clips(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Clips of four frames with six queries and their answers.

    Args:
        count: the number of clips.
        seed: chooses all of them.

    Returns:
        Clips `(count, 3, 4, 16, 16)` uint8, and labels `(count, 4, 8, 8)` int64: at the queries 0 for a dark and 1 for
        a bright core.
    """
    return _recall(SHORT, 4, count, seed)


def recall_long(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Clips of eight frames, `(count, 3, 8, 16, 16)`, and labels `(count, 8, 8, 8)`; otherwise as `recall_clips`."""
    return _recall(LONG, 8, count, seed)


def recall_cut(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """The first four of the eight frames of `recall_long`, in which half of the queries have no answer."""
    clips, labels = recall_long(count, seed)
    return clips[:, :, :4].contiguous(), labels[:, :4].contiguous()


CLIP_TASKS: dict[str, Callable[[int, int], tuple[Tensor, Tensor]]] = {
    "recall_clips": recall_clips,
    "recall_cut": recall_cut,
    "recall_long": recall_long,
}
FRAMES = {"recall_clips": 4, "recall_cut": 4, "recall_long": 8}


def _recall(pairs: tuple[tuple[Cell, Cell], ...], frames: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    # Four frames are permuted among themselves, so that those of a second half stay there.
    t = torch.cat([4 * half + _permutation(count, 4, generator) for half in range(frames // 4)], dim=1)
    place = _permutation(count, PLACES, generator)
    cells = torch.tensor([query for query, _ in pairs] + [answer for _, answer in pairs])
    t, place = t[:, cells[:, 0]], place[:, cells[:, 1]]
    play = torch.randint(2, (2, count, 2 * PAIRS), generator=generator)
    y = place // (SIDE // CELL) * CELL + CELL // 2 + play[0]
    x = place % (SIDE // CELL) * CELL + CELL // 2 + play[1]
    hue = hues(count, PAIRS, generator)
    core = torch.randint(2, (count, PAIRS), generator=generator)

    clips = 0.5 + 0.02 * torch.randn(count, 3, frames, SIDE, SIDE, generator=generator)
    images = clips.transpose(1, 2).flatten(0, 1).contiguous()
    which = torch.arange(count)[:, None] * frames + t
    paint(images, which, y, x, rgb(hue.repeat(1, 2)), radius=1)
    grey = core[..., None].expand(-1, -1, 3).float()
    paint(images, which[:, PAIRS:], y[:, PAIRS:], x[:, PAIRS:], grey, radius=0)
    labels = torch.full((count, frames, SIDE // STRIDE, SIDE // STRIDE), IGNORE)
    clip, query = torch.arange(count)[:, None], slice(PAIRS)
    labels[clip, t[:, query], y[:, query] // STRIDE, x[:, query] // STRIDE] = core
    pixels = images.clamp(0, 1).mul(255).round().to(torch.uint8)
    return pixels.unflatten(0, (count, frames)).transpose(1, 2).contiguous(), labels


def _permutation(count: int, length: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, length, generator=generator).argsort(dim=1)
