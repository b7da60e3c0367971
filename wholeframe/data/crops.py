"""From the frames of a clip to what a network sees: the same scale, crop and mirror for all of its frames.

train = random_crop(112)                     # (t, 3, h, w) uint8 -> (3, t, 112, 112) float32
test = fixed_crops(112, crops="three")       # (t, 3, h, w) uint8 -> (3, 3, t, 128, 128): a view for each crop
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from wholeframe.data.images import MEAN, STD

Crops = Literal["centre", "three", "full"]
Colours = Literal["nonlocal", "torchvision"]

COLOURS: dict[Colours, tuple[Sequence[float], Sequence[float]]] = {
    "nonlocal": ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
    "torchvision": (MEAN, STD),
}
"""Mean and standard deviation that are taken out, on [0, 1]. `nonlocal`: 114.75 and 57.375 of 255 for every colour, as
the released Caffe2 code and PySlowFast do; `torchvision`: ImageNet's, as MMAction2 and weights of torchvision."""


def sides(size: int) -> tuple[int, int]:
    """The range of the shorter side, 256 to 320 for a network that sees 224, in proportion for any other."""
    return round(size * 256 / 224), round(size * 320 / 224)


def random_crop(size: int, *, flip: bool = True, colours: Colours = "nonlocal") -> Callable[[Tensor], Tensor]:
    """From `(t, 3, h, w)` uint8 to `(3, t, size, size)` float32, drawn from torch's generator.

    The shorter side becomes a whole number of pixels from U{256 .. 320} where size is 224 (in proportion elsewhere,
    `sides`), a random square of `size` is cut out, and half of the clips are mirrored.

    Args:
        size: side of the result, pixels.
        flip: mirror half of the clips. False where left and right differ in meaning.
        colours: what is taken out, see `COLOURS`.
    """
    _refuse_size(size)
    shortest, longest = sides(size)
    finish = _finish(colours)

    def transform(clip: Tensor) -> Tensor:
        side = int(torch.randint(shortest, longest + 1, ()))
        height, width = _scaled(clip, side)
        top = int(torch.randint(height - size + 1, ()))
        left = int(torch.randint(width - size + 1, ()))
        clip = F.crop(F.resize(clip, [height, width], antialias=True), top, left, size, size)
        if flip and torch.rand(()) < 0.5:
            clip = F.horizontal_flip(clip)
        return finish(clip)

    return transform


def fixed_crops(
    size: int, *, crops: Crops = "centre", side: int | None = None, colours: Colours = "nonlocal"
) -> Callable[[Tensor], Tensor]:
    """From `(t, 3, h, w)` uint8 to `(crops, 3, t, h', w')` float32; nothing is drawn.

    The shorter side becomes `side`. Then

    - `centre`: the centre square of `size`, one view;
    - `three`: three squares of `side` along the longer side, at its two ends and in the middle (the released Caffe2
      code, which says it approximates the next);
    - `full`: the whole frame, one view (the paper). Videos of different shapes cannot be stacked into one batch.

    Args:
        size: side of the square that the network was trained on, pixels.
        crops: which of the above.
        side: shorter side of the frame; 256 for a network that was trained on 224, in proportion for any other.
        colours: what is taken out, see `COLOURS`.
    """
    _refuse_size(size)
    side = sides(size)[0] if side is None else side
    if side < size:
        raise ValueError(f"side={side} is smaller than size={size}: there is no such square in the frame")
    finish = _finish(colours)

    def transform(clip: Tensor) -> Tensor:
        height, width = _scaled(clip, side)
        if crops == "full":
            return finish(F.resize(clip, [height, width], antialias=True))[None]
        square, steps = (size, (1,)) if crops == "centre" else (side, (0, 1, 2))
        down, right = (height - square) // 2, (width - square) // 2
        clip = F.resize(clip, [height, width], antialias=True)
        views = [F.crop(clip, step * down, step * right, square, square) for step in steps]
        return torch.stack([finish(view) for view in views])

    return transform


def _scaled(clip: Tensor, side: int) -> tuple[int, int]:
    """Height and width whose shorter one is `side`, the shape kept."""
    height, width = clip.shape[-2:]
    scale = side / min(height, width)
    return max(round(height * scale), side), max(round(width * scale), side)


def _finish(colours: Colours) -> Callable[[Tensor], Tensor]:
    """From `(t, 3, h, w)` uint8 to `(3, t, h, w)` float32, mean and standard deviation of `colours` out."""
    mean, std = COLOURS[colours]
    finish = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])
    return lambda clip: finish(clip).transpose(0, 1).contiguous()


def _refuse_size(size: int) -> None:
    if size < 1:
        raise ValueError(f"size={size} is no size of a frame in pixels; 224 is usual")
