"""Data for a training: every epoch's order and augmentation is a function of (seed, epoch) alone.

That is what lets a killed run resume exactly, and several processes learn what one would. A loader is built anew for
every epoch, with a generator seeded for it, from which the order of all samples comes; each process takes its share of
every batch. The random numbers of a sample's augmentation are its own: they do not depend on who fetches it, or when.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler, TensorDataset

from wholeframe.data.image_folder import ImageFolder
from wholeframe.data.images import MEAN, STD, ImageDataset, transforms
from wholeframe.data.synthetic import TASKS
from wholeframe.train.recipe import Clips, Images


class Samples(Protocol):
    """Pairs of an image, or a clip, and its label."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


class Splits(L.LightningDataModule):
    """A training and a test set, the names of their classes, and the mean and std by which images were normalised."""

    def __init__(
        self,
        train: Samples,
        test: Samples,
        classes: Sequence[str],
        data: Images | Clips,
        seed: int,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ):
        super().__init__()
        self.train, self.test, self.classes = train, test, tuple(classes)
        self.data, self.seed, self.mean, self.std = data, seed, mean, std

    def train_dataloader(self) -> DataLoader:
        seed = epoch_seed(self.seed, self.trainer.current_epoch if self.trainer else 0)
        rank, ranks = self._rank()
        order = torch.Generator()
        batches = BatchSampler(RandomSampler(self.train, generator=order), self.data.batch, drop_last=True)
        return Replayed(
            Drawn(self.train, seed),
            batch_sampler=Share(batches, rank, ranks),
            num_workers=self.data.workers,
            generator=order,
            seed=seed,
        )

    def val_dataloader(self) -> DataLoader:
        rank, ranks = self._rank()
        return DataLoader(
            Drawn(self.test, self.seed),
            sampler=range(rank, len(self.test), ranks),
            batch_size=self.data.batch // ranks,
            num_workers=self.data.workers,
        )

    def on_after_batch_transfer(self, batch: tuple[Tensor, Tensor], dataloader_idx: int) -> tuple[Tensor, Tensor]:
        samples, labels = batch
        return self.data.as_input(samples), labels

    def picture(self, image: Tensor) -> np.ndarray:
        """An image `(3, h, w)` of these sets as 8-bit RGB `(h, w, 3)`."""
        colours = image.permute(1, 2, 0) * torch.tensor(self.std) + torch.tensor(self.mean)
        return (255 * colours.clamp(0, 1)).round().byte().numpy()

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


class Share(Sampler[list[int]]):
    """Of every batch the samples of one process; those of all processes together are the batch."""

    def __init__(self, batches: BatchSampler, rank: int, ranks: int):
        self.batches, self.rank, self.ranks = batches, rank, ranks

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return (batch[self.rank :: self.ranks] for batch in self.batches)


class Drawn(Dataset):
    """A data set of which sample i is augmented by random numbers that depend on `seed` and i alone."""

    def __init__(self, samples: Samples, seed: int):
        self.samples, self.seed = samples, seed

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int):
        before = torch.get_rng_state()
        own = torch.Generator().manual_seed(sample_seed(self.seed, index))
        torch.set_rng_state(own.get_state())  # torch.manual_seed does the same in twenty times the time
        try:
            return self.samples[index]
        finally:
            torch.set_rng_state(before)


class Replayed(DataLoader):
    """The same order whenever it is iterated.

    Every `iter` draws from the generator, and Lightning calls it once in the epoch that a training starts or resumes
    with, twice in all others.
    """

    def __init__(self, dataset: Dataset, *, seed: int, generator: torch.Generator, **options):
        self.seed, self.order = seed, generator
        super().__init__(dataset, generator=generator, **options)

    def __iter__(self):
        self.order.manual_seed(self.seed)
        return super().__iter__()


def epoch_seed(seed: int, epoch: int) -> int:
    """One number for a seed and an epoch; epochs of neighbouring seeds do not coincide."""
    return seed * 1_000_003 + epoch


def sample_seed(seed: int, index: int) -> int:
    """One number for the seed of an epoch and a sample; no pattern is left between neighbours."""
    return int(np.random.SeedSequence((seed % 2**64, index)).generate_state(1, np.uint64)[0])


def folder_splits(folder: ImageFolder, data: Images, seed: int) -> Splits:
    """The images of a folder, augmented for training."""
    refuse_batch(folder.root, len(folder.train), "images", data.batch)
    train = ImageDataset(folder.train, transforms(data.size, train=True, flip=data.flip, area=data.area))
    test = ImageDataset(folder.test, transforms(data.size, train=False, shorter=data.shorter))
    return Splits(train, test, folder.classes, data, seed)


def refuse_batch(root: Path, count: int, kind: str, batch: int) -> None:
    """ValueError where there are too few samples for a single step."""
    if count < batch:
        raise ValueError(
            f"{root} has {count} training {kind}, fewer than one batch of {batch}; "
            f"give --batch {max(count // 2, 2)} or less"
        )


def marker_splits(task: str, data: Images, seed: int, *, steps: int, test: int = 1024) -> Splits:
    """An embedded task, with as many images as a training of `steps` sees once."""
    names = {"recall": ("dark", "bright"), "gist": ("darker", "brighter")}[task]
    train = TensorDataset(*TASKS[task](steps * data.batch, 2 * seed))
    held_out = TensorDataset(*TASKS[task](test, 2 * seed + 1))
    return Splits(train, held_out, names, data, seed, mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0))
