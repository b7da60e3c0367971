"""Data for a training: the order of an epoch and its augmentation are functions of (seed, epoch) alone.

So a killed run resumes exactly, and several processes learn what one would. A loader is made for every epoch, with a
generator seeded for that epoch, which draws the order of all samples; each process takes its share of every batch. The
augmentation of a sample has its own random numbers, which depend neither on the process that reads it nor on the time.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, Sampler, TensorDataset

from wholeframe.data.images import MEAN, STD
from wholeframe.data.synthetic import TASKS
from wholeframe.data.synthetic_clips import CLIP_TASKS


class Samples(Protocol):
    """Pairs of an image, or a clip, and its label."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


class Batching(Protocol):
    """The part of a `wholeframe.train.inputs.DataSpec` that loading needs."""

    @property
    def batch(self) -> int:
        """Samples per step, over all devices."""
        ...

    @property
    def workers(self) -> int:
        """Processes that decode samples."""
        ...

    def collate(self, items: list[Any]) -> Any:
        """A batch of samples and labels from pairs of them."""
        ...

    def to_input(self, samples: Any) -> Any:
        """A batch as the network takes it, made on the device of the batch."""
        ...


class Splits(L.LightningDataModule):
    """The training and the validation samples, as `fit` takes them.

    Args:
        train: augmented samples to train on.
        val: samples that every epoch is validated on.
        classes: names of the classes, in the order of the labels.
        data: batch, workers and `to_input`, such as `recipe.data`.
        seed: of the order of samples and of their augmentation.
        mean, std: by which images were normalised; `picture` needs them.
    """

    def __init__(
        self,
        train: Samples,
        val: Samples,
        classes: Sequence[str],
        data: Batching,
        seed: int,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ):
        super().__init__()
        self.train, self.val, self.classes = train, val, tuple(classes)
        self.data, self.seed, self.mean, self.std = data, seed, mean, std
        self.trained: dict[int, int] = {}  # Batches of an epoch that a resumed run trained on before.

    def train_dataloader(self) -> DataLoader:
        epoch = self.trainer.current_epoch if self.trainer else 0
        seed = epoch_seed(self.seed, epoch)
        rank, ranks = self._rank()
        order = torch.Generator()
        shuffled = RandomSampler(self.train, generator=order)
        groups: Sequence[int] | None = getattr(self.train, "groups", None)
        batches = Grouped(shuffled, self.data.batch, groups or [0] * len(self.train))
        return Replayed(
            Drawn(self.train, seed),
            batch_sampler=Share(batches, rank, ranks, self.trained.get(epoch, 0)),
            num_workers=self.data.workers,
            collate_fn=self.data.collate,
            generator=order,
            seed=seed,
        )

    def val_dataloader(self) -> DataLoader:
        rank, ranks = self._rank()
        return DataLoader(
            Drawn(self.val, self.seed),
            sampler=range(rank, len(self.val), ranks),
            batch_size=self.data.batch // ranks,
            num_workers=self.data.workers,
            collate_fn=self.data.collate,
        )

    def on_after_batch_transfer(self, batch: tuple[Any, Any], dataloader_idx: int) -> tuple[Any, Any]:
        samples, labels = batch
        return self.data.to_input(samples), labels

    def state_dict(self) -> dict[str, int]:
        """The epoch, and the number of batches of it that were trained on; 0 after the last one."""
        assert self.trainer is not None
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.completed
        batches = done if done < self.trainer.num_training_batches else 0
        return {"epoch": self.trainer.current_epoch, "batches": int(batches)}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.trained = {state_dict["epoch"]: state_dict["batches"]}

    def picture(self, image: Tensor) -> np.ndarray:
        """An image `(3, h, w)` of these splits as 8-bit RGB `(h, w, 3)`."""
        colours = image.permute(1, 2, 0) * torch.tensor(self.std) + torch.tensor(self.mean)
        return (255 * colours.clamp(0, 1)).round().byte().numpy()

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


class Grouped(Sampler[list[int]]):
    """Full batches of samples of one group, such as upright images, so that little of a batch is padding.

    Samples keep their order within a group. Those that fill no batch of their own are mixed at the end, so that there
    are as many batches as without groups.

    Args:
        order: the samples in the order of an epoch.
        batch: samples per batch; the last ones that fill none are left out.
        groups: the group of every sample.
    """

    def __init__(self, order: Sampler[int], batch: int, groups: Sequence[int]):
        self.order, self.batch, self.groups = order, batch, groups

    def __len__(self) -> int:
        return len(self.groups) // self.batch

    def __iter__(self) -> Iterator[list[int]]:
        waiting: dict[int, list[int]] = {}
        for index in self.order:
            samples = waiting.setdefault(self.groups[index], [])
            samples.append(index)
            if len(samples) == self.batch:
                yield waiting.pop(self.groups[index])
        rest = list(chain.from_iterable(waiting.values()))
        yield from (rest[at : at + self.batch] for at in range(0, len(rest) - self.batch + 1, self.batch))


class Share(Sampler[list[int]]):
    """The samples of one process in every batch; together the processes have the whole batch.

    The first `trained` batches are left out, and count in the length: they are a part of the epoch.
    """

    def __init__(self, batches: Grouped, rank: int, ranks: int, trained: int = 0):
        self.batches, self.rank, self.ranks, self.trained = batches, rank, ranks, trained

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return (batch[self.rank :: self.ranks] for batch in islice(self.batches, self.trained, None))


class Drawn(Dataset):
    """A data set that augments sample i with random numbers that depend on `seed` and i alone."""

    def __init__(self, samples: Samples, seed: int):
        self.samples, self.seed = samples, seed

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int):
        before = torch.get_rng_state()
        own = torch.Generator().manual_seed(sample_seed(self.seed, index))
        torch.set_rng_state(own.get_state())  # torch.manual_seed does the same and takes twenty times as long.
        try:
            return self.samples[index]
        finally:
            torch.set_rng_state(before)


class Replayed(DataLoader):
    """A loader with the same order in every iteration.

    Every `iter` draws from the generator. Lightning calls it once in the epoch that a training starts or resumes with,
    and twice in every other epoch.
    """

    def __init__(self, dataset: Dataset, *, seed: int, generator: torch.Generator, **options):
        self.seed, self.order = seed, generator
        super().__init__(dataset, generator=generator, **options)

    def __iter__(self):
        self.order.manual_seed(self.seed)
        return super().__iter__()


def epoch_seed(seed: int, epoch: int) -> int:
    """One number for a seed and an epoch; the epochs of neighbouring seeds differ."""
    return seed * 1_000_003 + epoch


def sample_seed(seed: int, index: int) -> int:
    """One number for the seed of an epoch and a sample, without a pattern between neighbours."""
    return int(np.random.SeedSequence((seed % 2**64, index)).generate_state(1, np.uint64)[0])


def batches_of(samples: Samples, data: Batching, seed: int, batch: int | None = None) -> DataLoader:
    """All samples in order, as an evaluation reads them; `batch` at once, by default that of the training."""
    return DataLoader(Drawn(samples, seed), batch or data.batch, num_workers=data.workers, collate_fn=data.collate)


def of_split(folder: Any, split: str) -> Any:
    """The `train`, `val`, `test` or `all` files of an opened folder. ValueError if the folder has no such split."""
    files = {"train": folder.train, "val": folder.val, "test": folder.test, "all": folder.all}[split]
    if not files:
        raise ValueError(
            f"'{folder.root}' has no {split} split; give --split val (a folder has a test split if it has train/, val/ "
            "and test/)"
        )
    return files


def refuse_workers(workers: int) -> None:
    """ValueError if processes that decode samples cannot hand them over, because there is no shared memory."""
    if workers:
        try:
            torch.zeros(1).share_memory_()
            torch.multiprocessing.Lock()
        except (RuntimeError, OSError) as error:
            raise ValueError(
                f"workers={workers}, but there is no shared memory (/dev/shm), through which they hand over samples "
                f"({error}); give --workers 0"
            ) from error


def refuse_batch(root: Path, count: int, noun: str, batch: int) -> None:
    """ValueError for fewer training samples than a single batch."""
    if count < batch:
        raise ValueError(
            f"'{root}' has {count} training {noun}, fewer than one batch of {batch}; give --batch {max(count // 2, 2)} "
            "or less"
        )


def marker_splits(task: str, data: Batching, seed: int, *, steps: int, test: int = 1024) -> Splits:
    """An embedded task of `wholeframe compare`.

    Args:
        task: a name of `wholeframe.data.synthetic.TASKS`, or of `wholeframe.data.synthetic_clips.CLIP_TASKS`.
        data: the batch size.
        seed: of the images.
        steps: training steps; there are as many training images as these steps see once.
        test: number of held-out images. No choice is made on them while training.
    """
    names = ("darker", "brighter") if task == "gist" else ("dark", "bright")
    make = {**TASKS, **CLIP_TASKS}[task]
    train = TensorDataset(*make(steps * data.batch, 2 * seed))
    held_out = TensorDataset(*make(test, 2 * seed + 1))
    return Splits(train, held_out, names, data, seed, mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0))
