"""The region of a frame that a network sees, and the size that it is scaled to."""

from typing import NamedTuple

from torch import Tensor
from torchvision.transforms.v2 import functional as F


class Region(NamedTuple):
    """A box of a frame, scaled and optionally mirrored.

    `region.of(frames)` is the definition, on RGB frames. A decoder may do the same on the planes of its own frames,
    which takes less work (`filters`).

    Attributes:
        top: first row of the box, in pixels of the frame as it is displayed.
        left: first column of the box.
        height: rows of the box.
        width: columns of the box.
        size: rows and columns that the box is scaled to.
        mirrored: whether left and right are exchanged.
    """

    top: int
    left: int
    height: int
    width: int
    size: tuple[int, int]
    mirrored: bool = False

    def of(self, frames: Tensor) -> Tensor:
        """Crop, scale (bilinear, antialiased when it becomes smaller) and mirror.

        Args:
            frames: `(..., 3, h, w)` uint8.

        Returns:
            `(..., 3, *size)` uint8.
        """
        kept = F.resized_crop(frames, self.top, self.left, self.height, self.width, list(self.size), antialias=True)
        return F.horizontal_flip(kept) if self.mirrored else kept
