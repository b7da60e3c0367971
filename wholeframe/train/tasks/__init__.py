"""What a network is trained for: loss, predictions, metrics. A task is a value of the recipe."""

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

    def figures(self) -> Mapping[str, float | int | None]:
        """The figures of the whole split by name; None for one that has no value."""
        ...

    def table(self, classes: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Column names, and a row of figures per class."""
        ...

    def confused(self) -> Tensor:
        """`(k, k)`: of the samples with a label (row), the share that is given a class (column)."""
        ...

    def cells(self) -> Tensor:
        """`(k, k)`: the numbers in the cells of a picture of `confused`."""
        ...

    @property
    def count(self) -> int:
        """Number of samples that were read, and so count."""
        ...

    def write(self, file: Path, names: Sequence[Sequence[str]], header: Sequence[str], classes: Sequence[str]) -> None:
        """Write a CSV file with a row per sample; `names` are its first columns, under `header`."""
        ...

    def write_classes(self, file: Path, classes: Sequence[str]) -> None:
        """Write a CSV file with a row of figures per class."""
        ...

    def write_confusion(self, file: Path, classes: Sequence[str]) -> None:
        """Write a CSV file with the counts of labels and predictions."""
        ...


class Task(Protocol):
    """Loss, predictions and metrics of one kind of task."""

    @property
    def labels(self) -> str:
        """The labels of a sample: "one" class, or "many"."""
        ...

    @property
    def score(self) -> str:
        """Name of the metric that compares epochs, higher is better; it is logged as `val/NAME`."""
        ...

    def metric(self, num_classes: int) -> Metric:
        """The metric `score`, empty."""
        ...

    @property
    def class_weights(self) -> str | None:
        """How the classes are weighted in the training loss: "balanced", or None."""
        ...

    def train_metric(self) -> Metric:
        """The metric `score` of a training epoch, empty."""
        ...

    def loss(self, logits: Any, labels: Any, weights: Tensor | None = None) -> Tensor:
        """The training loss of a batch; `weights` of the classes, if the task has them."""
        ...

    def validate(self, network: nn.Module, samples: Any, labels: Any, metric: Metric) -> tuple[Tensor, int] | None:
        """Update `metric`; the loss and the number of samples that count. None if there are none."""
        ...

    def predictions(self, outputs: Any) -> Any:
        """Predictions from the output for every view of each sample, see `DataSpec.outputs`."""
        ...

    def scores(self, predictions: Sequence[Any], labels: Sequence[Any]) -> Scores:
        """The scores of all batches. ValueError if none of the samples could be read."""
        ...
