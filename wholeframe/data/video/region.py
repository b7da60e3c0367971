"""What is read of every frame of a clip: a box of it, scaled, and mirrored or not."""

from typing import NamedTuple

from torch import Tensor
from torchvision.transforms.v2 import functional as F


class Part(NamedTuple):
    """A box of a frame, in its pixels as it is shown, and the size it is brought to, rows and columns.

    `part.of(frames)` is the definition. What decodes may do the same on the planes of its own frames, where that is
    less work.
    """

    top: int
    left: int
    height: int
    width: int
    size: tuple[int, int]
    mirrored: bool = False

    def of(self, frames: Tensor) -> Tensor:
        """From `(..., 3, h, w)` uint8 to `(..., 3, *size)`: bilinear, and antialiased where it becomes smaller."""
        kept = F.resized_crop(frames, self.top, self.left, self.height, self.width, list(self.size), antialias=True)
        return F.horizontal_flip(kept) if self.mirrored else kept
