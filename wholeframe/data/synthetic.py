"""Two tasks that separate the blocks, generated from a seed: no files, no download.

Images of 32 x 32 with small square markers, at most one in every 8 x 8 cell, so that markers are farther apart than
the receptive field of the small network. Labels are dense on the 16 x 16 map of that network: a class at the
positions that ask a question, `IGNORE` everywhere else.

- `recall`: six pairs. A *query* is a solid square of some hue; its *answer* has the same hue and a bright or a dark
  core. At each query, tell the core of its answer. What to look for depends on who asks: one summary of the image
  for all positions cannot hold it.
- `gist`: eight markers with an unknown common offset in brightness. At each marker, tell whether it is brighter than
  the mean of all. One summary for all positions is enough; no summary is not.
"""

from collections.abc import Callable

import torch
from torch import Tensor

IGNORE = -100  # what torch's cross entropy ignores
SIZE, CELL, STRIDE = 32, 8, 2


def recall(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """`count` images `(count, 3, 32, 32)` and labels `(count, 16, 16)`: 0 dark, 1 bright, at the queries."""
    pairs = 6
    generator = torch.Generator().manual_seed(seed)
    y, x = _places(count, 2 * pairs, generator)
    jitter = torch.rand(count, pairs, generator=generator) / 2
    start = torch.rand(count, 1, generator=generator)
    hue = (start + (torch.arange(pairs) + jitter) / pairs) % 1  # apart by half a step at least: no two alike
    core = torch.randint(2, (count, pairs), generator=generator)

    images = _background(count, generator)
    _paint(images, y, x, _rgb(hue.repeat(1, 2)), radius=1)
    _paint(images, y[:, pairs:], x[:, pairs:], core[..., None].expand(-1, -1, 3).float(), radius=0)
    return images - 0.5, _labels(y[:, :pairs], x[:, :pairs], core)


def gist(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """`count` images `(count, 3, 32, 32)` and labels `(count, 16, 16)`: 1 where brighter than the mean of all."""
    markers = 8
    generator = torch.Generator().manual_seed(seed)
    y, x = _places(count, markers, generator)
    own = 0.4 * torch.rand(count, markers, generator=generator)
    offset = 0.6 * torch.rand(count, 1, generator=generator)
    brightness = own + offset

    images = _background(count, generator)
    _paint(images, y, x, brightness[..., None].expand(-1, -1, 3), radius=1)
    return images - 0.5, _labels(y, x, (own > own.mean(dim=1, keepdim=True)).long())


TASKS: dict[str, Callable[[int, int], tuple[Tensor, Tensor]]] = {"recall": recall, "gist": gist}


def _background(count: int, generator: torch.Generator) -> Tensor:
    return 0.5 + 0.02 * torch.randn(count, 3, SIZE, SIZE, generator=generator)


def _places(count: int, markers: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Centres of markers: distinct cells, one pixel of play in each. With more, neighbours would see their edges."""
    across = SIZE // CELL
    cells = torch.rand(count, across**2, generator=generator).argsort(dim=1)[:, :markers]
    play = torch.randint(2, (2, count, markers), generator=generator)
    middle = CELL // 2
    return cells // across * CELL + middle + play[0], cells % across * CELL + middle + play[1]


def _paint(images: Tensor, y: Tensor, x: Tensor, colour: Tensor, radius: int) -> None:
    """Fill squares of side 2 radius + 1 with their colours `(count, markers, 3)`, in place."""
    image = torch.arange(len(images))[:, None]
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            images[image, :, y + dy, x + dx] = colour


def _rgb(hue: Tensor) -> Tensor:
    """Fully saturated colours of hues in [0, 1), scaled so that bright and dark cores stand out from all."""
    ramp = (hue[..., None] * 6 + torch.tensor([0.0, 4.0, 2.0])) % 6
    return 0.15 + 0.7 * ((ramp - 3).abs() - 1).clamp(0, 1)


def _labels(y: Tensor, x: Tensor, label: Tensor) -> Tensor:
    labels = torch.full((len(y), SIZE // STRIDE, SIZE // STRIDE), IGNORE)
    labels[torch.arange(len(y))[:, None], y // STRIDE, x // STRIDE] = label
    return labels
