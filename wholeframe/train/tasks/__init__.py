"""What a network is trained for: losses, validation, metrics. A task is a value of the recipe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn
from torchmetrics import Metric


class Scores(Protocol):
    """Predictions with their labels, and the figures that papers report."""

    def summary(self, classes: Sequence[str] = ()) -> str:
        """The figures of the whole split, such as `top-1 0.9120`."""
        ...

    def table(self, classes: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Column names, and a row of figures per class."""
        ...

    @property
    def count(self) -> int:
        """Number of samples that were read, and so count."""
        ...

    def write(
        self, folder: Path, names: Sequence[Sequence[str]], header: Sequence[str], classes: Sequence[str], title: str
    ) -> str:
        """Write the files of an evaluation.

        Args:
            folder: where they are written.
            names: the first columns of a sample.
            header: the names of these columns.
            classes: the names of the classes.
            title: above the pictures.

        Returns:
            What the files hold, as the subject of a sentence.
        """
        ...


class Validation(Protocol):
    """The data that a metric is made for: `wholeframe.train.loaders.Splits`."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def val(self) -> Any: ...


class Task(Protocol):
    """Losses, validation and metrics of one kind of task."""

    @property
    def labels(self) -> str:
        """The labels of a sample: "one" class, "many", or "objects"."""
        ...

    @property
    def score(self) -> str:
        """Name of the metric that compares epochs, higher is better; it is logged as `val/NAME`."""
        ...

    @property
    def class_weights(self) -> str | None:
        """How the classes are weighted in the training loss: "balanced", or None."""
        ...

    def metric(self, splits: Validation) -> Metric:
        """The metric `score` of the validation samples, empty; it computes a number, or a dict of them by name."""
        ...

    def train_metric(self) -> Metric | None:
        """The metric `score` of a training epoch, empty; None if the training does not give it."""
        ...

    def losses(
        self, network: nn.Module, samples: Any, labels: Any, weights: Tensor | None = None
    ) -> tuple[Mapping[str, Tensor], Any]:
        """The training losses of a batch by name, whose sum is minimised, and the outputs that `train_metric` takes.

        Args:
            network: in training mode.
            samples: a batch, as the network takes it.
            labels: of the batch.
            weights: of the classes, if the task has them.
        """
        ...

    def validate(
        self, network: nn.Module, samples: Any, labels: Any, metric: Metric
    ) -> tuple[Tensor | None, int] | None:
        """Update `metric`; the loss, if there is one in eval mode, and the number of samples that count.

        None if no sample counts.
        """
        ...


class ClassTask(Task, Protocol):
    """A task whose predictions are classes of whole samples."""

    def predictions(self, outputs: Any) -> Tensor:
        """Predictions from the output for every view of each sample, see `ClassSpec.outputs`."""
        ...

    def scores(self, predictions: Sequence[Tensor], labels: Sequence[Tensor]) -> Scores:
        """The scores of all batches. ValueError if none of the samples could be read."""
        ...
