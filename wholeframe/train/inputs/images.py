"""Images in one folder per class."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
import tyro
from torch import Tensor, nn
from torch.utils.data import DataLoader, default_collate

from wholeframe.data.image_folder import ImageFolder, Items, open_folder
from wholeframe.data.images import ImageDataset, read_image, transforms, whole_image
from wholeframe.data.video.views import ONCE, Views, read_views
from wholeframe.train.evaluate import MatchedByName, one_view
from wholeframe.train.inputs.unread import TOLERATED, refuse_tolerance, refuse_unread, unread
from wholeframe.train.limits import at_least, between
from wholeframe.train.loaders import Splits, batches_of, of_split, refuse_batch
from wholeframe.train.tasks import Task


@dataclass(frozen=True)
class ImageLocation:
    """A folder of images."""

    path: Annotated[Path, tyro.conf.arg(name="data", metavar="DIR")]
    """folder of the images: DIR/train/CLASS/* and DIR/val/CLASS/*, or DIR/CLASS/*"""
    strict: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """raise an error for a file that does not decode, instead of naming it and leaving it out"""
    tolerate: float = TOLERATED
    """training: largest fraction of the images that may be unreadable; above it no training starts"""

    def __post_init__(self):
        refuse_tolerance(self.tolerate)


@dataclass(frozen=True)
class Images:
    """How images are fed to the network. The folder itself is not part of a recipe."""

    location: ClassVar[type] = ImageLocation
    noun: ClassVar[str] = "images"
    backbone: ClassVar[str] = "torchvision/resnet50"

    size: int = 64
    """side of the square images, pixels"""
    shorter: int | None = None
    """evaluation: length of the shorter side before the centre square is cut out; None for `size`"""
    area: float = 0.6
    """training: smallest fraction of the area of an image that a random crop keeps"""
    batch: int = 32
    """images per step, over all devices"""
    flip: bool = False
    """mirror half of the training images; leave off for digits, signs and letters"""
    val_fraction: float = 0.2
    """fraction of every class held out for validation if the folder is not split into train/ and val/"""
    workers: int = 2
    """processes that decode images; 0 decodes in the training process"""
    randaugment: int = 0
    """training: random operations on every image (RandAugment); 0 for none, 2 is usual"""
    magnitude: int = 9
    """training: strength of these operations, 0 to 30"""

    def __post_init__(self):
        at_least("size", self.size, 1, 224)
        at_least("batch", self.batch, 1, 32)
        at_least("workers", self.workers, 0, 2)
        between("val_fraction", self.val_fraction, 0, 1, 0.2)
        self.training()
        self.testing()

    def training(self) -> Callable[..., Tensor]:
        """The random transform of a training image."""
        return transforms(
            self.size,
            train=True,
            flip=self.flip,
            area=self.area,
            randaugment=self.randaugment,
            magnitude=self.magnitude,
        )

    def testing(self) -> Callable[..., Tensor]:
        """The fixed transform of an image in an evaluation."""
        return transforms(self.size, train=False, shorter=self.shorter)

    def whole(self) -> Callable[..., Tensor]:
        """The transform of an image that is seen whole, with `size` as its shorter side."""
        return whole_image(self.size)

    def example(self) -> Tensor:
        return torch.randn(1, 3, self.size, self.size)

    def collate(self, items: list[Any]) -> Any:
        return default_collate(items)

    def to_input(self, samples: Tensor) -> Tensor:
        """Images are normalised when they are read; nothing is left to do."""
        return samples

    def outputs(self, network: nn.Module, samples: Tensor) -> Tensor:
        """The output for the one view of each image, `(b, 1, ...)`."""
        return one_view(network, samples)

    def test_views(self, text: str | None) -> None:
        """None, because an image has one view; ValueError if `--views` selects more."""
        if text is not None and read_views(text) != ONCE:
            raise ValueError(f"--views {text} applies to videos, and this recipe is for images; leave --views out")

    def reader(self, views: Views | None) -> Callable[[Path], Tensor]:
        prepare = self.testing()
        return lambda file: prepare(read_image(file))

    def open(self, location: ImageLocation, task: Task, seed: int, whole: bool = False) -> "ImageInputs":
        """Index a folder of class folders.

        Args:
            location: the folder.
            task: the training task; one class per image.
            seed: chooses the images that are held out where the folder is not split.
            whole: hold nothing out where the folder is not split.

        Raises:
            ValueError: the folder has another layout, or the task needs several labels per image.
        """
        if task.labels != "one":
            raise ValueError(
                f"labels={task.labels!r} does not apply to a folder of images, where each lies in the folder of its "
                "class; give --labels one"
            )
        held_out = None if whole else self.val_fraction
        folder = open_folder(location.path, val_fraction=held_out, seed=seed, strict=location.strict)
        return ImageInputs(folder, self, seed, location.tolerate)


class ImageInputs(MatchedByName):
    """A folder of images under a recipe; see `wholeframe.train.inputs.Inputs`."""

    header: tuple[str, ...] = ("file",)

    def __init__(self, folder: ImageFolder, data: Images, seed: int, tolerate: float = TOLERATED):
        self.folder, self.data, self.seed, self.tolerate = folder, data, seed, tolerate
        self.lost = [(problem.path.as_posix(), problem.reason) for problem in folder.problems]
        self.total = len(folder.all) + len(self.lost)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.folder.classes

    def describe(self) -> str:
        return self.folder.describe()

    @property
    def divided(self) -> bool:
        return self.folder.divided

    def splits(self) -> Splits:
        return folder_splits(self.folder, self.data, self.seed)

    def batches(self, split: str, views: Views | None) -> DataLoader:
        samples = ImageDataset(self._items(split), self.data.testing())
        return batches_of(samples, self.data, self.seed)

    def names(self, split: str) -> list[tuple[str, ...]]:
        return [(self._name(path),) for path, _ in self._items(split)]

    def samples(self) -> list[tuple[str, str, str]]:
        splits = {"train": self.folder.train, "val": self.folder.val, "test": self.folder.test}
        return [(s, self._name(path), self.classes[label]) for s, items in splits.items() for path, label in items]

    def left_out(self) -> list[tuple[str, str]]:
        return self.folder.left_out()

    def refuse_unread(self) -> None:
        refuse_unread(self.folder.root, self.lost, self.total, "images", self.tolerate)

    def failures(self) -> str:
        return unread(self.lost, self.total, "images")

    def _items(self, split: str) -> Items:
        return of_split(self.folder, split)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder.root).as_posix()


def folder_splits(folder: ImageFolder, data: Images, seed: int) -> Splits:
    """The images of a folder for `fit`: augmented for training, and its validation images.

    Args:
        folder: what `open_folder` found.
        data: size, augmentation, batch.
        seed: of the order and of the augmentation.

    Raises:
        ValueError: fewer training images than one batch.
    """
    refuse_batch(folder.root, len(folder.train), "images", data.batch)
    train = ImageDataset(folder.train, data.training())
    val = ImageDataset(folder.val, data.testing())
    return Splits(train, val, folder.classes, data, seed)
