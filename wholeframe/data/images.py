"""Read an image file of any format and colour mode, transform it, and index a list of such files.

image = read_image("cat.jpg")                   # PIL image, RGB
tensor = transforms(224, train=False)(image)    # (3, 224, 224) float32
"""

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from wholeframe.data.raster import opened
from wholeframe.messages import shown

MEAN = (0.485, 0.456, 0.406)
"""ImageNet's mean of red, green and blue, in [0, 1]. To undo the normalisation: `tensor * STD + MEAN`, per channel."""

STD = (0.229, 0.224, 0.225)
"""ImageNet's standard deviation of red, green and blue, in [0, 1]."""

PATH = 4096
"""Characters of a path in an error: all of them."""

BAND = 2**20
"""Pixels of a transparent image that are blended at a time."""


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """Read one image file as 8-bit RGB.

    The format is found by content, and is one that Pillow decodes by itself (`wholeframe.data.raster.RASTER`): no other
    program is started, and no other file is opened. The EXIF orientation is applied. Of an animation the first frame is
    read. Of 16-bit grey the high byte is kept (Pillow alone clips everything above 255 to white). Transparent pixels
    are blended over white, as in a browser; torchvision's `pil_loader` drops the alpha channel instead and so reveals
    the colours stored below it. Pillow's warnings (a damaged EXIF tag, a large image) are silenced, because such a file
    decodes.

    Args:
        path: the file.

    Returns:
        The image in mode "RGB".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file does not decode, is in another format, or has more than 120 million pixels; the message
            names it and the reason.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file '{shown(path, PATH)}'") from None
    except Exception as error:  # On a damaged file decoders raise anything: SyntaxError, struct.error, ...
        raise ValueError(f"'{shown(path, PATH)}' is not an image that can be decoded ({_reason(error)})") from error


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image as `read_image` gives it, from the header of the file.

    Raises:
        ValueError: the file is not an image.
    """
    try:
        with opened(path) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            width, height = image.size
            return (height, width) if turned else (width, height)
    except Exception as error:
        raise ValueError(f"'{shown(path, PATH)}' is not an image that can be read ({_reason(error)})") from error


def _decode(path: Path) -> Image.Image:
    with opened(path) as image:
        ImageOps.exif_transpose(image, in_place=True)  # A copy would double the memory of an image that is upright.
        return _as_rgb(image)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(
            f"its pixels are 32-bit numbers (mode {image.mode}), and the file does not say which value is white; "
            "save it with 8 or 16 bits"
        )
    return _over_white(image) if image.has_transparency_data else image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    """A transparent image over white, in bands of rows, because a whole RGBA image would take twice its memory."""
    result = Image.new("RGB", image.size)
    rows = max(BAND // image.width, 1)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height))).convert("RGBA")
        white = Image.new("RGBA", band.size, "white")
        result.paste(Image.alpha_composite(white, band).convert("RGB"), (0, top))
    return result


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".") or type(error).__name__


def why_unreadable(path: Path) -> str | None:
    """Why a file does not decode; None if it does."""
    try:
        _decode(path)
    except Exception as error:
        return _reason(error)
    return None


class ImageDataset(Dataset[tuple[Tensor, int]]):
    """Files with labels, as pairs of a tensor and a label. A file is decoded each time that it is indexed.

    Args:
        items: files with their labels, such as `ImageFolder.train`.
        transform: from a PIL image (RGB) to a tensor, such as `transforms(224, train=True)`.

    Raises:
        ValueError: (when indexed) the file no longer decodes; the message names it.
    """

    def __init__(self, items: Sequence[tuple[Path, int]], transform: Callable[[Image.Image], Tensor]) -> None:
        self.items = items
        self.transform = transform

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.items[index]
        return self.transform(read_image(path)), label

    @property
    def labels(self) -> list[int]:
        """The label of every file."""
        return [label for _, label in self.items]

    def name(self, index: int) -> str:
        """The file of a sample, for messages."""
        return f"'{self.items[index][0]}'"


def transforms(
    size: int,
    train: bool,
    flip: bool = True,
    *,
    area: float = 0.6,
    shorter: int | None = None,
    randaugment: int = 0,
    magnitude: int = 9,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
) -> v2.Compose:
    """The transform from a PIL image to a normalised tensor.

    Training: a random crop of at least `area` of the image, with an aspect ratio between 3:4 and 4:3, resized to
    `size`, and flipped horizontally half of the time. Evaluation: the shorter side is resized to `shorter`, and the
    centre square of `size` is cut out; by default no margin is cut off, so a square image stays whole.

    On ImageNet, papers train with area=0.08 and evaluate with shorter=256, size=224.

    Args:
        size: height and width of the result, in pixels.
        train: return the random transform for training instead of the fixed one for evaluation.
        flip: flip half of the images in training. Use False if left and right differ in meaning: digits, letters,
            signs, left and right hands.
        area: the smallest part of the image that is cut out in training.
        shorter: the shorter side in evaluation, in pixels; None for `size`.
        randaugment: number of random operations on a training image (Cubuk et al., NeurIPS 2020); 0 for none, 2 is
            usual.
        magnitude: strength of these operations, 0 to 30.
        mean, std: of red, green and blue in [0, 1], by which the result is normalised.

    Returns:
        A transform whose result is `(3, size, size)` float32.

    Raises:
        ValueError: `size`, `area`, `shorter`, `randaugment` or `magnitude` is out of range.
    """
    refuse_randaugment(randaugment, magnitude)
    if size < 1:
        raise ValueError(f"size={size} is not a size in pixels: it must be at least 1; 224 is usual")
    if not 0 < area <= 1:
        raise ValueError(
            f"area={area} is not a part of an image: it must be above 0 and at most 1; "
            "0.6 crops mildly, 0.08 is usual on ImageNet"
        )
    if shorter is not None and shorter < size:
        raise ValueError(
            f"shorter={shorter} is smaller than size={size}, so the square does not fit; give at least {size}"
        )
    if train:
        geometry = [v2.RandomResizedCrop(size, scale=(area, 1.0), antialias=True)]
        geometry += [v2.RandomHorizontalFlip()] if flip else []
        geometry += [v2.RandAugment(randaugment, magnitude)] if randaugment else []
    else:
        geometry = [v2.Resize(shorter or size, antialias=True), v2.CenterCrop(size)]
    return v2.Compose([*geometry, *_to_tensor(mean, std)])


def refuse_randaugment(operations: int, magnitude: int) -> None:
    """ValueError for a number of operations, or a magnitude, that RandAugment does not have."""
    if operations < 0:
        raise ValueError(f"randaugment must be at least 0, got {operations} (2 is usual, 0 for none)")
    if not 0 <= magnitude <= 30:
        raise ValueError(f"magnitude must be from 0 to 30, got {magnitude} (9 is usual)")


def whole_image(size: int, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> v2.Compose:
    """The transform for evaluation without the crop: the shorter side becomes `size`, the longer one is kept whole.

    Args:
        size: the shorter side of the result, in pixels.
        mean, std: of red, green and blue in [0, 1], by which the result is normalised.

    Returns:
        A transform whose result is `(3, h, w)` float32.
    """
    return v2.Compose([v2.Resize(size, antialias=True), *_to_tensor(mean, std)])


def _to_tensor(mean: Sequence[float], std: Sequence[float]) -> list[v2.Transform]:
    return [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]
