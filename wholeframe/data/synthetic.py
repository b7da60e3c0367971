"""Two tasks that separate the blocks, generated from a seed without files or a download.

Images of 32 x 32 contain small square markers, at most one in every 8 x 8 cell, so that the distance between markers
exceeds the receptive field of the small network. Labels are dense on the 16 x 16 map of that network: a class at the
queried positions, `IGNORE` everywhere else.

- `recall`: six pairs. A *query* is a solid square of some hue. Its *answer* has the same hue and a bright or a dark
  core. The label of a query is the core of its answer. Each query needs a different marker, so one summary of the
  image that is the same for all positions cannot solve it.
- `gist`: eight markers with an unknown common offset in brightness. The label of a marker is whether it is brighter
  than the mean of all. One summary for all positions is enough; without a summary it cannot be solved.
"""

from collections.abc import Callable

import torch
from torch import Tensor

IGNORE = -100  # The label that torch's cross entropy ignores.
SIZE, CELL, STRIDE = 32, 8, 2


def recall(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images with six queries and their answers.

    Args:
        count: the number of images.
        seed: chooses all of them.

    Returns:
        Images `(count, 3, 32, 32)` float32, and labels `(count, 16, 16)` int64: at the queries 0 for a dark and 1 for a
        bright core.
    """
    pairs = 6
    generator = torch.Generator().manual_seed(seed)
    y, x = _centres(count, 2 * pairs, generator)
    hue = hues(count, pairs, generator)
    core = torch.randint(2, (count, pairs), generator=generator)

    images = _background(count, generator)
    image = torch.arange(count)[:, None]
    paint(images, image, y, x, rgb(hue.repeat(1, 2)), radius=1)
    paint(images, image, y[:, pairs:], x[:, pairs:], core[..., None].expand(-1, -1, 3).float(), radius=0)
    return images - 0.5, _labels(y[:, :pairs], x[:, :pairs], core)


def places_of_recall(count: int, seed: int) -> Tensor:
    """Where the queries and the answers of `recall(count, seed)` are.

    Returns:
        Pixels `(count, 6, 2, 2)` int64: `(y, x)` of the centre of each query, and of its answer.
    """
    pairs = 6
    y, x = _centres(count, 2 * pairs, torch.Generator().manual_seed(seed))
    return torch.stack([y, x], dim=2).unflatten(1, (2, pairs)).transpose(1, 2)


def gist(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images with eight grey markers.

    Args:
        count: the number of images.
        seed: chooses all of them.

    Returns:
        Images `(count, 3, 32, 32)` float32, and labels `(count, 16, 16)` int64: at the markers 1 if they are brighter
        than the mean of all, else 0.
    """
    markers = 8
    generator = torch.Generator().manual_seed(seed)
    y, x = _centres(count, markers, generator)
    own = 0.4 * torch.rand(count, markers, generator=generator)
    offset = 0.6 * torch.rand(count, 1, generator=generator)
    brightness = own + offset

    images = _background(count, generator)
    paint(images, torch.arange(count)[:, None], y, x, brightness[..., None].expand(-1, -1, 3), radius=1)
    return images - 0.5, _labels(y, x, (own > own.mean(dim=1, keepdim=True)).long())


TASKS: dict[str, Callable[[int, int], tuple[Tensor, Tensor]]] = {"recall": recall, "gist": gist}


def _background(count: int, generator: torch.Generator) -> Tensor:
    return 0.5 + 0.02 * torch.randn(count, 3, SIZE, SIZE, generator=generator)


def _centres(count: int, markers: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Centres of markers in distinct cells, with one pixel of jitter; with more, a query sees a neighbour's edge."""
    across = SIZE // CELL
    cells = torch.rand(count, across**2, generator=generator).argsort(dim=1)[:, :markers]
    play = torch.randint(2, (2, count, markers), generator=generator)
    middle = CELL // 2
    return cells // across * CELL + middle + play[0], cells % across * CELL + middle + play[1]


def hues(count: int, pairs: int, generator: torch.Generator) -> Tensor:
    """A hue in [0, 1) for each pair of an image, at least half a step from the others, so that no two are alike."""
    jitter = torch.rand(count, pairs, generator=generator) / 2
    start = torch.rand(count, 1, generator=generator)
    return (start + (torch.arange(pairs) + jitter) / pairs) % 1


def paint(images: Tensor, image: Tensor, y: Tensor, x: Tensor, colour: Tensor, radius: int) -> None:
    """Fill squares of side 2 radius + 1 in place, in images by number, with colours `(count, markers, 3)`."""
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            images[image, :, y + dy, x + dx] = colour


def rgb(hue: Tensor) -> Tensor:
    """Fully saturated colours of hues in [0, 1), scaled so that bright and dark cores contrast with all of them."""
    ramp = (hue[..., None] * 6 + torch.tensor([0.0, 4.0, 2.0])) % 6
    return 0.15 + 0.7 * ((ramp - 3).abs() - 1).clamp(0, 1)


def _labels(y: Tensor, x: Tensor, label: Tensor) -> Tensor:
    labels = torch.full((len(y), SIZE // STRIDE, SIZE // STRIDE), IGNORE)
    labels[torch.arange(len(y))[:, None], y // STRIDE, x // STRIDE] = label
    return labels
