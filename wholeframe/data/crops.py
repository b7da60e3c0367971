"""From the frames of a clip to what a network sees: the same scale, crop and mirror for all of its frames.

train = random_crop(112)                       # (t, 3, h, w) uint8 -> (3, t, 112, 112) float32
test = fixed_crops(112, crops="three")         # (t, 3, h, w) uint8 -> (3, 3, t, 128, 128): a view for each crop
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor
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


class Crop(NamedTuple):
    """What a network sees of a clip, in two steps, so that no more of a frame is kept than that.

    `crop(clip)` does both to a clip that is there as a whole.
    """

    draw: Callable[[int, int], Callable[[Tensor], Tensor]]
    """for one clip of frames of this height and width: from frames `(..., 3, h, w)` uint8 to what is kept of them"""
    finish: Callable[[Tensor], Tensor]
    """from what is kept, `(t, ..., 3, h, w)` uint8, to `(..., 3, t, h, w)` float32"""

    def __call__(self, clip: Tensor) -> Tensor:
        return self.finish(self.draw(*clip.shape[-2:])(clip))


def sides(size: int) -> tuple[int, int]:
    """The range of the shorter side, 256 to 320 for a network that sees 224, in proportion for any other."""
    return round(size * 256 / 224), round(size * 320 / 224)


def random_crop(size: int, *, flip: bool = True, colours: Colours = "nonlocal") -> Crop:
    """To `(3, t, size, size)` float32, drawn from torch's generator.

    The shorter side becomes a whole number of pixels from U{256 .. 320} where size is 224 (in proportion elsewhere,
    `sides`), a random square of `size` is cut out, and half of the clips are mirrored. (The square is cut out of the
    frame as it is, in whole pixels, and then scaled: the same but for less than one of its pixels.)

    Args:
        size: side of the result, pixels.
        flip: mirror half of the clips. False where left and right differ in meaning.
        colours: what is taken out, see `COLOURS`.
    """
    _refuse_size(size)
    return Crop(partial(_draw_square, size, flip), partial(_finish, colours))


def fixed_crops(size: int, *, crops: Crops = "centre", side: int | None = None, colours: Colours = "nonlocal") -> Crop:
    """To `(crops, 3, t, h', w')` float32; nothing is drawn.

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
    return Crop(partial(_places, size, side, crops), partial(_finish, colours))


def _draw_square(size: int, flip: bool, height: int, width: int) -> Callable[[Tensor], Tensor]:
    shortest, longest = sides(size)
    side = int(torch.randint(shortest, longest + 1, ()))
    square = round(size * min(height, width) / side)  # of the frame as it is: what is cut off need not be scaled
    top, left = (int(torch.randint(extent - square + 1, ())) for extent in (height, width))
    mirrored = flip and bool(torch.rand(()) < 0.5)

    def keep(frame: Tensor) -> Tensor:
        frame = F.resized_crop(frame, top, left, square, square, [size, size], antialias=True)
        return F.horizontal_flip(frame) if mirrored else frame

    return keep


def _places(size: int, side: int, crops: Crops, height: int, width: int) -> Callable[[Tensor], Tensor]:
    scale = side / min(height, width)
    height, width = max(round(height * scale), side), max(round(width * scale), side)
    square, steps = (size, (1,)) if crops == "centre" else (side, (0, 1, 2))
    down, right = (height - square) // 2, (width - square) // 2

    def keep(frame: Tensor) -> Tensor:
        frame = F.resize(frame, [height, width], antialias=True)
        if crops == "full":
            return frame.unsqueeze(-4)
        return torch.stack([F.crop(frame, step * down, step * right, square, square) for step in steps], dim=-4)

    return keep


def _finish(colours: Colours, kept: Tensor) -> Tensor:
    """(x / 255 - mean) / std, in place, for clips are large."""
    mean, std = (torch.tensor(list(values))[:, None, None, None] for values in COLOURS[colours])
    pixels = kept.movedim(0, -3).to(torch.float32, memory_format=torch.contiguous_format)
    return pixels.mul_(1 / (255 * std)).sub_(mean / std)


def _refuse_size(size: int) -> None:
    if size < 1:
        raise ValueError(f"size={size} is no size of a frame in pixels; 224 is usual")
