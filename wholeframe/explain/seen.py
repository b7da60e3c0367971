"""What every block of a network sees in one forward pass: its input, and where the input's grid lies in the image.

The grid of a block covers the whole image, as a rule. torchvision's detectors scale an image and pad it at the right
and at the bottom, so that there the grid reaches beyond the image; and the blocks of their heads see regions, each cut
out of the image by a box and scaled to the same grid.
"""

import contextlib
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

from wholeframe.surgery.probe import evaluating

Cell = tuple[int, int]


class Frame(NamedTuple):
    """A rectangle, in pixels of the image that was given: the top left pixel covers 0 to 1 in both directions."""

    top: float
    left: float
    bottom: float
    right: float

    def cell(self, query: Cell, grid: Sequence[int]) -> Cell | None:
        """The cell of a grid over the rectangle in which the centre of a pixel `(y, x)` lies; None if outside."""
        y, x = query[0] + 0.5, query[1] + 0.5
        if not (self.top <= y < self.bottom and self.left <= x < self.right):
            return None
        row = math.floor((y - self.top) * grid[0] / (self.bottom - self.top))
        column = math.floor((x - self.left) * grid[1] / (self.right - self.left))
        return min(row, grid[0] - 1), min(column, grid[1] - 1)  # Rounding may reach the lower edge itself.


class Seen(NamedTuple):
    """The input of a block, and the rectangles of its samples in the image.

    `regions` says whether a sample is a region of the image; otherwise there is one rectangle, that of the whole image.
    """

    x: Tensor
    frames: tuple[Frame, ...]
    regions: bool


def seen_by(network: nn.Module, image: Tensor | Sequence[Tensor], names: Iterable[str]) -> dict[str, Seen]:
    """The input of the modules of these names in one forward pass in eval mode, in the order in which they run.

    Args:
        network: it runs once.
        image: a batch of images `(b, 3, h, w)`, or a list of images `(3, h, w)` for detectors.
        names: of blocks. One that does not run is not in the result.

    Returns:
        What each block saw. The rectangles are those of the first image.
    """
    size = (image[0].shape[-2], image[0].shape[-1])
    seen: dict[str, Seen] = {}
    now = (Frame(0, 0, *size),), False

    def scaled(_transform: nn.Module, _args: Any, output: tuple[Any, Any]) -> None:
        nonlocal now
        images = output[0]
        now = (_padded(size, images.image_sizes[0], images.tensors.shape[-2:]),), False

    def pooled(_pool: nn.Module, args: tuple[Mapping[str, Tensor], list[Tensor], list[Cell]]) -> None:
        nonlocal now
        boxes, scaled_sizes = args[1], args[2]
        now = _regions(size, scaled_sizes[0], boxes[0]), True

    def keep(name: str, _block: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen[name] = Seen(args[0], *now)

    with evaluating(network), contextlib.ExitStack() as hooks:
        for module in network.modules():
            if isinstance(module, GeneralizedRCNNTransform):
                hooks.enter_context(module.register_forward_hook(scaled))
            if isinstance(module, MultiScaleRoIAlign):
                hooks.enter_context(module.register_forward_pre_hook(pooled))
        for name in names:
            hooks.enter_context(network.get_submodule(name).register_forward_pre_hook(functools.partial(keep, name)))
        network(image)
    return seen


def _padded(size: Cell, scaled: Sequence[int], padded: Sequence[int]) -> Frame:
    """The rectangle of an image that is scaled and then padded, in pixels before the scaling."""
    height, width = (side * whole / part for side, part, whole in zip(size, scaled, padded, strict=True))
    return Frame(0, 0, height, width)


def _regions(size: Cell, scaled: Sequence[int], boxes: Tensor) -> tuple[Frame, ...]:
    """The rectangles of boxes `(n, 4)` with x1, y1, x2, y2 in pixels of the scaled image, before the scaling."""
    down, across = (side / part for side, part in zip(size, scaled, strict=True))
    return tuple(Frame(y1 * down, x1 * across, y2 * down, x2 * across) for x1, y1, x2, y2 in boxes.tolist())
