"""One image file, and a data set of them: any format, any mode, with broken files among them."""

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's red, green and blue, in [0, 1]. A picture is `tensor * STD + MEAN`, per channel."""

STD = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's red, green and blue, in [0, 1]."""


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """Read one image file as 8-bit RGB.

    The EXIF orientation is applied; of an animation the first frame is taken. Sixteen-bit grey keeps its
    high byte (Pillow alone would clip everything above 255 to white). Transparency is laid over white, as a
    browser would show it; torchvision's `pil_loader` drops it instead, which uncovers whatever colours the
    drawing program left below. Warnings of Pillow (a damaged EXIF tag, a large image) are not passed on:
    such a file decodes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an image that can be decoded; names the file and the reason.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file '{path}'") from None
    except Exception as error:  # decoders of damaged files raise anything: SyntaxError, struct.error, ...
        raise ValueError(f"'{path}' is not an image that can be decoded ({_reason(error)})") from error


def _decode(path: Path) -> Image.Image:
    if path.stat().st_size == 0:
        raise ValueError("the file is empty")
    with Image.open(path) as image:
        return _as_rgb(ImageOps.exif_transpose(image))


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(
            f"its pixels are 32-bit numbers (mode {image.mode}) and nothing says which of them is white; "
            "save it with 8 or 16 bits"
        )
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "cannot identify image file"  # Pillow appends the path, which our sentence already has
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".") or type(error).__name__


def why_unreadable(path: Path) -> str | None:
    """The reason why a file does not decode, or None."""
    try:
        _decode(path)
    except Exception as error:
        return _reason(error)
    return None


class ImageDataset(Dataset[tuple[Tensor, int]]):
    """Files and labels as `(tensor, label)`; the file is decoded anew each time.

    Args:
        items: files with their labels, such as `ImageFolder.train`.
        transform: from a PIL image (RGB) to a tensor, such as `transforms(224, train=True)`.

    Raises:
        ValueError: (from indexing) the file does not decode any more; names it.
    """

    def __init__(self, items: Sequence[tuple[Path, int]], transform: Callable[[Image.Image], Tensor]) -> None:
        self.items = items
        self.transform = transform

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.items[index]
        return self.transform(read_image(path)), label


def transforms(
    size: int, train: bool, flip: bool = True, *, area: float = 0.6, shorter: int | None = None
) -> v2.Compose:
    """From a PIL image to a `(3, size, size)` float32 tensor, normalised by `MEAN` and `STD`.

    To train: a random part of 60 to 100 % of the area, stretched by at most 4:3 either way, resized to
    `size`, and mirrored half of the time. To test: the shorter side resized to `size`, and the centre
    square cut out (no margin: nothing of a square image is lost).

    On ImageNet papers train with area=0.08 and test with shorter=256, size=224.

    Args:
        size: height and width of the result, in pixels.
        train: random, to train with; else the same each time.
        flip: mirror half of the images when training. False where left and right differ in meaning:
            digits, letters, signs, "left" and "right" hands. No effect when testing.
        area: the smallest part that is cut out to train. No effect when testing.
        shorter: the shorter side when testing; None for `size`. No effect when training.
    """
    if size < 1:
        raise ValueError(f"size={size} is no size of an image in pixels; 224 is usual")
    if not 0 < area <= 1:
        raise ValueError(
            f"area={area} is no part of an image, above 0 and up to 1; 0.6 is mild, 0.08 usual on ImageNet"
        )
    if shorter is not None and shorter < size:
        raise ValueError(f"shorter={shorter} is smaller than size={size}: there is no such square in the image")
    if train:
        geometry = [v2.RandomResizedCrop(size, scale=(area, 1.0), antialias=True)]
        geometry += [v2.RandomHorizontalFlip()] if flip else []
    else:
        geometry = [v2.Resize(shorter or size, antialias=True), v2.CenterCrop(size)]
    return v2.Compose([*geometry, *_to_tensor()])


def whole_image(size: int) -> v2.Compose:
    """As `transforms` to test, but without the cut: the shorter side is `size`, and all of the image is there."""
    return v2.Compose([v2.Resize(size, antialias=True), *_to_tensor()])


def _to_tensor() -> list[v2.Transform]:
    return [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
