"""What a network sees of the frames of a clip: the same scale, crop and mirror for all of them, and the colours.

train = random_crop(112)                       # (t, 3, h, w) uint8 -> (3, t, 112, 112) uint8
test = fixed_crops(112, crops="three")         # (t, 3, h, w) uint8 -> (3, 3, t, 128, 128): a view for each crop
clips = normalised(clips, "nonlocal")          # uint8 -> float32 as a network takes it, on the device of the clips
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from wholeframe.data.images import MEAN, STD
from wholeframe.data.video.region import Part

Crops = Literal["centre", "three", "full"]
Colours = Literal["nonlocal", "torchvision"]

COLOURS: dict[Colours, tuple[Sequence[float], Sequence[float]]] = {
    "nonlocal": ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
    "torchvision": (MEAN, STD),
}
"""Mean and standard deviation that are taken out, on [0, 1]. `nonlocal`: 114.75 and 57.375 of 255 for every colour, as
the released Caffe2 code and PySlowFast do; `torchvision`: ImageNet's, as MMAction2 and weights of torchvision."""


class Crop(NamedTuple):
    """What a network sees of a clip, in two steps, so that no more of a frame is read than that.

    `crop(clip)` does both to a clip that is there as a whole. Colours stay 8-bit: a quarter of what has to be sent from
    the processes that decode to the one that trains, and on to its device.
    """

    draw: Callable[[int, int], Part]
    """for one clip of frames of this height and width: the part that is read of all of them"""
    views: Callable[[Tensor], Tensor]
    """from that part of the frames, `(t, 3, h, w)`, to what is seen of it, `(..., 3, t, h', w')`"""

    def __call__(self, clip: Tensor) -> Tensor:
        return self.views(self.draw(*clip.shape[-2:]).of(clip))


def sides(size: int) -> tuple[int, int]:
    """The range of the shorter side, 256 to 320 for a network that sees 224, in proportion for any other."""
    return round(size * 256 / 224), round(size * 320 / 224)


def random_crop(size: int, *, flip: bool = True) -> Crop:
    """To `(3, t, size, size)`, drawn from torch's generator.

    The shorter side becomes a whole number of pixels from U{256 .. 320} where size is 224 (in proportion elsewhere,
    `sides`), a random square of `size` is cut out, and half of the clips are mirrored. (The square is cut out of the
    frame as it is, in whole pixels, and then scaled: the same but for less than one of its pixels.)

    Args:
        size: side of the result, pixels.
        flip: mirror half of the clips. False where left and right differ in meaning.
    """
    _refuse_size(size)
    return Crop(partial(_draw_square, size, flip), _clip)


def fixed_crops(size: int, *, crops: Crops = "centre", side: int | None = None) -> Crop:
    """To `(crops, 3, t, h', w')`; nothing is drawn.

    The shorter side becomes `side`. Then

    - `centre`: the centre square of `size`, one view;
    - `three`: three squares of `side` along the longer side, at its two ends and in the middle (the released Caffe2
      code, which says it approximates the next);
    - `full`: the whole frame, one view (the paper). Videos of different shapes cannot be stacked into one batch.

    Args:
        size: side of the square that the network was trained on, pixels.
        crops: which of the above.
        side: shorter side of the frame; 256 for a network that was trained on 224, in proportion for any other.
    """
    _refuse_size(size)
    side = sides(size)[0] if side is None else side
    if side < size:
        raise ValueError(f"side={side} is smaller than size={size}: there is no such square in the frame")
    return Crop(partial(_whole, side), partial(_places, size, side, crops))


def normalised(clips: Tensor, colours: Colours) -> Tensor:
    """Clips `(..., 3, t, h, w)` uint8 as a network takes them, float32:

        (x / 255 - mean) / std

    colours: whose mean and standard deviation are taken out, see `COLOURS`.

    ValueError for clips that are not 8-bit: they may be normalised already.
    """
    if clips.dtype != torch.uint8:
        raise ValueError(f"these clips are {clips.dtype} and not 8-bit, so they may be normalised already")
    mean, std = (torch.tensor(values, device=clips.device)[:, None, None, None] for values in COLOURS[colours])
    return clips.to(torch.float32).mul_(1 / (255 * std)).sub_(mean / std)  # in place, for clips are large


def _draw_square(size: int, flip: bool, height: int, width: int) -> Part:
    shortest, longest = sides(size)
    side = int(torch.randint(shortest, longest + 1, ()))
    square = round(size * min(height, width) / side)  # of the frame as it is: what is cut off need not be scaled
    top, left = (int(torch.randint(extent - square + 1, ())) for extent in (height, width))
    return Part(top, left, square, square, (size, size), mirrored=flip and bool(torch.rand(()) < 0.5))


def _whole(side: int, height: int, width: int) -> Part:
    scale = side / min(height, width)
    return Part(0, 0, height, width, (max(round(height * scale), side), max(round(width * scale), side)))


def _clip(frames: Tensor) -> Tensor:
    return frames.transpose(0, 1)


def _places(size: int, side: int, crops: Crops, frames: Tensor) -> Tensor:
    clip = _clip(frames)
    if crops == "full":
        return clip[None]
    square, steps = (size, (1,)) if crops == "centre" else (side, (0, 1, 2))
    down, right = ((extent - square) // 2 for extent in clip.shape[-2:])
    return torch.stack([F.crop(clip, step * down, step * right, square, square) for step in steps])


def _refuse_size(size: int) -> None:
    if size < 1:
        raise ValueError(f"size={size} is no size of a frame in pixels; 224 is usual")
