"""Converts a kind of data to inputs of a network. A kind of data is a value of the recipe: `Images`, `Clips`, ...

data = recipe.data                                                  # size, augmentation, batch: a `DataSpec`
inputs = open_inputs(data, data.location(path), recipe.task, seed)  # a folder, indexed and split: `Inputs`
splits = inputs.splits()                                            # the samples that `fit` takes
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn
from torch.utils.data import DataLoader

from wholeframe.data.video.views import Views
from wholeframe.surgery.probe import Example
from wholeframe.train.loaders import Batching, Splits
from wholeframe.train.tasks import Scores, Task


class Inputs(Protocol):
    """Labelled data of one kind, indexed and divided into splits."""

    header: tuple[str, ...]
    """the column names of `names`"""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their labels."""
        ...

    def describe(self) -> str:
        """One sentence: the number of samples and classes, and every file that was left out."""
        ...

    @property
    def divided(self) -> bool:
        """Whether there are splits. False if the data gives none and was opened whole: its one split is "all"."""
        ...

    def splits(self) -> Splits:
        """Augmented training samples, and the samples that every epoch is validated on."""
        ...

    def batches(self, split: str, views: Views | None) -> DataLoader:
        """All samples of "train", "val", "test" or "all" in order, as an evaluation reads them."""
        ...

    def evaluate(
        self,
        network: nn.Module,
        batches: DataLoader,
        task: Any,
        classes: Sequence[str],
        after_batch: Callable[[], None],
    ) -> Scores:
        """The scores of a trained network.

        Args:
            network: the network.
            batches: such as `batches("val", None)`.
            task: that it was trained for.
            classes: the names of its classes; those of the data are matched by name.
            after_batch: called after every batch, for a progress bar.
        """
        ...

    def names(self, split: str) -> list[tuple[str, ...]]:
        """A name per sample of a split, a string for each column of `header`."""
        ...

    def samples(self) -> list[tuple[str, str, str]]:
        """The split, the name and the label of every sample: what a run compares when it is resumed."""
        ...

    def left_out(self) -> list[tuple[str, str]]:
        """Every file, and every line of a list, that is not used, with the reason."""
        ...

    def refuse_unread(self) -> None:
        """ValueError if more samples cannot be read than the location tolerates for a training."""
        ...

    def failures(self) -> str:
        """One sentence about the samples that could not be read, by reason; empty if there are none."""
        ...


class DataSpec(Batching, Protocol):
    """How one kind of data is fed to a network. A value of the recipe; the folder itself is not part of it."""

    location: ClassVar[type]
    """the options that name a folder of this kind: `Images.location(path)`"""
    noun: ClassVar[str]
    """several samples, in a sentence"""
    backbone: ClassVar[str]
    """a backbone that takes such samples, for error messages"""

    def example(self) -> Example:
        """A batch of one random sample, as the network takes it: a tensor, or a tuple of arguments."""
        ...

    def test_views(self, text: str | None) -> Views | None:
        """The views that `--views TEXT` selects; None if a sample has a single view."""
        ...

    def open(self, location: Any, task: Any, seed: int, whole: bool = False) -> Inputs:
        """Index a folder and divide it into splits."""
        ...


class ClassSpec(DataSpec, Protocol):
    """How samples that have classes as a whole are fed to a network: `Images`, `Clips`."""

    def outputs(self, network: nn.Module, samples: Tensor) -> Tensor:
        """The output of the network for every view of a batch, `(b, views, ...)`."""
        ...

    def reader(self, views: Views | None) -> Callable[[Path], Tensor]:
        """A function from a file to one sample, prepared as for an evaluation."""
        ...


def open_inputs(data: DataSpec, location: Any, task: Task, seed: int, whole: bool = False) -> Inputs:
    """Index the data of a recipe and divide it into splits.

    Args:
        data: the kind of data, such as `recipe.data`.
        location: the folder, a `data.location`.
        task: the training task; its labels must be those of the folder.
        seed: chooses the samples that are held out where the folder does not define the splits.
        whole: hold nothing out where the folder does not define the splits, to evaluate all of it. The inputs are then
            not `divided`, and their split is "all".

    Raises:
        ValueError: the folder has another layout, or other labels than the task.
    """
    return data.open(location, task, seed, whole)
