"""Data for a training: every epoch's order and augmentation is a function of (seed, epoch) alone.

That is what lets a killed run resume exactly. A loader is therefore built anew for every epoch, with a generator
seeded for it; the order of images and the seeds of worker processes both come from that generator.
"""

from collections.abc import Sequence

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from wholeframe.data.folders import ImageFolder
from wholeframe.data.images import MEAN, STD, ImageDataset, transforms
from wholeframe.data.markers import TASKS
from wholeframe.train.recipe import Data


class Splits(L.LightningDataModule):
    """A training and a test set, the names of their classes, and the mean and std by which images were normalised."""

    def __init__(
        self,
        train: Dataset,
        test: Dataset,
        classes: Sequence[str],
        data: Data,
        seed: int,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ):
        super().__init__()
        self.train, self.test, self.classes = train, test, tuple(classes)
        self.data, self.seed, self.mean, self.std = data, seed, mean, std

    def train_dataloader(self) -> DataLoader:
        epoch = self.trainer.current_epoch if self.trainer else 0
        return self._loader(self.train, Replayed, seed=epoch_seed(self.seed, epoch), shuffle=True, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        return self._loader(self.test)

    def picture(self, image: Tensor) -> np.ndarray:
        """An image `(3, h, w)` of these sets as 8-bit RGB `(h, w, 3)`."""
        colours = image.permute(1, 2, 0) * torch.tensor(self.std) + torch.tensor(self.mean)
        return (255 * colours.clamp(0, 1)).round().byte().numpy()

    def _loader(self, dataset: Dataset, kind: type[DataLoader] = DataLoader, **options) -> DataLoader:
        return kind(dataset, batch_size=self.data.batch, num_workers=self.data.workers, **options)


class Replayed(DataLoader):
    """The same order and the same seeds of workers whenever it is iterated.

    Every `iter` draws from the generator, and Lightning calls it once in the epoch that a training starts or resumes
    with, twice in all others.
    """

    def __init__(self, dataset: Dataset, *, seed: int, **options):
        self.seed, self.source = seed, torch.Generator()
        super().__init__(dataset, generator=self.source, **options)

    def __iter__(self):
        self.source.manual_seed(self.seed)
        return super().__iter__()


def epoch_seed(seed: int, epoch: int) -> int:
    """One number for a seed and an epoch; epochs of neighbouring seeds do not coincide."""
    return seed * 1_000_003 + epoch


def folder_splits(folder: ImageFolder, data: Data, seed: int) -> Splits:
    """The images of a folder, augmented for training."""
    if len(folder.train) < data.batch:
        raise ValueError(
            f"{folder.root} has {len(folder.train)} training images, fewer than one batch of {data.batch}; "
            f"give --batch {max(len(folder.train) // 2, 2)} or less"
        )
    train = ImageDataset(folder.train, transforms(data.size, train=True, flip=data.flip))
    test = ImageDataset(folder.test, transforms(data.size, train=False))
    return Splits(train, test, folder.classes, data, seed)


def marker_splits(task: str, data: Data, seed: int, *, steps: int, test: int = 1024) -> Splits:
    """An embedded task, with as many images as a training of `steps` sees once."""
    names = {"recall": ("dark", "bright"), "gist": ("darker", "brighter")}[task]
    train = TensorDataset(*TASKS[task](steps * data.batch, 2 * seed))
    held_out = TensorDataset(*TASKS[task](test, 2 * seed + 1))
    return Splits(train, held_out, names, data, seed, mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0))
