"""From the frames of a clip to the input of a network: one scale, crop and flip for all frames, then the colours.

train = random_crop(112)                       # (t, 3, h, w) uint8 -> (3, t, 112, 112) uint8
val = fixed_crops(112, crops="three")          # (t, 3, h, w) uint8 -> (3, 3, t, 128, 128) uint8, a view per crop
clips = normalised(clips, "nonlocal")          # uint8 -> float32, on the device of the clips
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from wholeframe.data.images import MEAN, STD
from wholeframe.data.video.region import Region
from wholeframe.messages import one_of

Crops = Literal["centre", "three", "full"]
Colours = Literal["nonlocal", "torchvision"]

COLOURS: dict[Colours, tuple[Sequence[float], Sequence[float]]] = {
    "nonlocal": ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
    "torchvision": (MEAN, STD),
}
"""Mean and standard deviation of the normalisation, for values in [0, 1].

`nonlocal`: 114.75 and 57.375 of 255 for every colour, as in the released Caffe2 code and PySlowFast. `torchvision`:
ImageNet's, as in MMAction2 and for the weights of torchvision.
"""


class Crop(NamedTuple):
    """The crop of a clip in two steps, so that no more of a frame is decoded than the network sees.

    `crop(clip)` does both steps on a decoded clip. The result stays 8-bit: a quarter of the bytes of float32 to send
    from the worker processes to the training process and on to its device.

    Attributes:
        draw: from the height and width of the frames to the region to read, the same for all frames of the clip.
        views: from the frames of that region, `(t, 3, h, w)`, to the input of the network, `(..., 3, t, h', w')`.
    """

    draw: Callable[[int, int], Region]
    views: Callable[[Tensor], Tensor]

    def __call__(self, clip: Tensor) -> Tensor:
        return self.views(self.draw(*clip.shape[-2:]).of(clip))


def sides(size: int) -> tuple[int, int]:
    """The range of the shorter side in training: 256 to 320 for size=224, in proportion for other sizes."""
    return round(size * 256 / 224), round(size * 320 / 224)


def random_crop(size: int, *, flip: bool = True) -> Crop:
    """The crop for training, drawn from torch's generator.

    The shorter side is scaled to a whole number of pixels from U{256 .. 320} for size=224 (in proportion for other
    sizes, `sides`), a random square of `size` is cut out, and half of the clips are mirrored. (The square is cut out
    of the original frame, in whole pixels, and scaled then: the difference is less than one of its pixels.)

    Args:
        size: side of the result, in pixels.
        flip: mirror half of the clips. Use False if left and right differ in meaning.

    Returns:
        A crop whose result is `(3, t, size, size)` uint8.

    Raises:
        ValueError: `size` is below 1.
    """
    _refuse_size(size)
    return Crop(partial(_random_square, size, flip), _clip)


def fixed_crops(size: int, *, crops: Crops = "centre", side: int | None = None) -> Crop:
    """The crops for evaluation, the same each time.

    The shorter side is scaled to `side`. Then

    - `centre`: the centre square of `size`, one view;
    - `three`: three squares of `side` along the longer side, at its ends and in the middle (the released Caffe2 code,
      as an approximation of the next);
    - `full`: the whole frame, one view (the paper). Videos of different shapes cannot be stacked into one batch.

    Args:
        size: side of the square that the network was trained on, in pixels.
        crops: which of the above.
        side: the shorter side of the frame, in pixels; by default 256 for size=224, in proportion for other sizes.

    Returns:
        A crop whose result is `(views, 3, t, h', w')` uint8.

    Raises:
        ValueError: `size` is below 1, `side` is below `size`, or `crops` is not one of the above.
    """
    _refuse_size(size)
    one_of("crops", crops, get_args(Crops))
    side = sides(size)[0] if side is None else side
    if side < size:
        raise ValueError(
            f"side={side} is smaller than size={size}, so the square does not fit into the frame; give at least {size}"
        )
    return Crop(partial(_whole_frame, side), partial(_fixed, size, side, crops))


def normalised(clips: Tensor, colours: Colours) -> Tensor:
    """Convert 8-bit clips to the input of a network:

        (x / 255 - mean) / std

    Args:
        clips: `(..., 3, t, h, w)` uint8.
        colours: whose mean and standard deviation to use, see `COLOURS`.

    Returns:
        `(..., 3, t, h, w)` float32.

    Raises:
        ValueError: the clips are not 8-bit, so they may be normalised already; or `colours` is unknown.
    """
    one_of("colours", colours, tuple(COLOURS))
    if clips.dtype != torch.uint8:
        raise ValueError(
            f"these clips are {clips.dtype} and not 8-bit, so they may be normalised already; give uint8 clips"
        )
    mean, std = (torch.tensor(values, device=clips.device)[:, None, None, None] for values in COLOURS[colours])
    return clips.to(torch.float32).mul_(1 / (255 * std)).sub_(mean / std)  # In place, because clips are large.


def _random_square(size: int, flip: bool, height: int, width: int) -> Region:
    shortest, longest = sides(size)
    side = int(torch.randint(shortest, longest + 1, ()))
    square = round(
        size * min(height, width) / side
    )  # In pixels of the original frame, so that the rest is not scaled in vain.
    top, left = (int(torch.randint(extent - square + 1, ())) for extent in (height, width))
    return Region(top, left, square, square, (size, size), mirrored=flip and bool(torch.rand(()) < 0.5))


def _whole_frame(side: int, height: int, width: int) -> Region:
    scale = side / min(height, width)
    return Region(0, 0, height, width, (max(round(height * scale), side), max(round(width * scale), side)))


def _clip(frames: Tensor) -> Tensor:
    return frames.transpose(0, 1)


def _fixed(size: int, side: int, crops: Crops, frames: Tensor) -> Tensor:
    clip = _clip(frames)
    if crops == "full":
        return clip[None]
    square, steps = (size, (1,)) if crops == "centre" else (side, (0, 1, 2))
    down, right = ((extent - square) // 2 for extent in clip.shape[-2:])
    return torch.stack([F.crop(clip, step * down, step * right, square, square) for step in steps])


def _refuse_size(size: int) -> None:
    if size < 1:
        raise ValueError(f"size={size} is not a size in pixels: it must be at least 1; 224 is usual")
