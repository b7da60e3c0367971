"""Evaluate a trained network on labelled samples."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from wholeframe.messages import listed, shown
from wholeframe.surgery.probe import evaluating
from wholeframe.surgery.verify import refuse_lost
from wholeframe.train.tasks import ClassTask, Scores
from wholeframe.train.tasks.classification import Classification

ONE_LABEL = Classification()


class Viewed(Protocol):
    """The part of a `wholeframe.train.inputs.ClassSpec` that an evaluation needs."""

    def outputs(self, network: nn.Module, samples: Any) -> Tensor: ...


def evaluate(
    network: nn.Module,
    data: Iterable[tuple[Any, Any]],
    task: ClassTask = ONE_LABEL,
    *,
    spec: Viewed | None = None,
    after_batch: Callable[[], None] = lambda: None,
) -> Scores:
    """Predictions for every sample of `data`, in eval mode and without gradients.

        scores = wf.evaluate(network, DataLoader(dataset, 32))
        print(scores.summary())                                 # top-1 0.9120

    Args:
        network: a trained network.
        data: batches of samples and labels, such as a `DataLoader`: images `(b, 3, h, w)` that are normalised, or, with
            `spec=Clips(...)`, views of videos `(b, v, 3, t, h, w)` uint8.
        task: loss, predictions and metrics, such as `recipe.task`.
        spec: how the network takes a batch, such as `recipe.data`; None for images.
        after_batch: called after every batch, for a progress bar.

    Returns:
        The scores of the task; of `Classification`, see `ClassScores`.

    Raises:
        ValueError: none of the samples could be read.
    """
    predictions, labels = [], []
    outputs = one_view if spec is None else spec.outputs
    refuse_lost(network)
    with evaluating(network), torch.no_grad():
        for samples, label in data:
            predictions.append(task.predictions(outputs(network, samples)).cpu())
            labels.append(label)
            after_batch()
    return task.scores(predictions, labels)


def one_view(network: nn.Module, samples: Tensor) -> Tensor:
    """The output for the one view of each sample, `(b, 1, ...)`."""
    return network(samples.to(next(network.parameters()).device))[:, None]


def matched(classes: Sequence[str], own: Sequence[str]) -> list[int]:
    """The index of each class of the data among those of a network, by name.

    Args:
        classes: the names of the classes of the data.
        own: the names of the classes of the network.

    Raises:
        ValueError: the data has a class that the network does not have.
    """
    index = {name: label for label, name in enumerate(own)}
    unknown = [f"'{shown(name)}'" for name in classes if name not in index]
    if unknown:
        trained_on = listed(f"'{shown(name)}'" for name in own)
        raise ValueError(
            f"the run was trained on the classes {trained_on}, and the data also has {listed(unknown)}; rename or "
            "remove these"
        )
    return [index[name] for name in classes]


def relabelled(batches: Iterable[tuple[Any, Tensor]], index: Sequence[int], count: int) -> Iterator[tuple[Any, Tensor]]:
    """Batches with the labels of a network with `count` classes: label i becomes `index[i]`; -1 stays -1."""
    places = torch.tensor(index)
    for samples, labels in batches:
        if labels.ndim == 1:
            yield samples, torch.where(labels < 0, labels, places[labels.clamp(min=0)])
        else:
            wide = labels.new_zeros(len(labels), count)
            wide[:, places] = labels
            yield samples, torch.where((labels < 0).all(dim=1, keepdim=True), -torch.ones_like(wide), wide)


class MatchedByName(Protocol):
    """Inputs whose samples have classes as a whole: those of the data are matched with those of a network by name."""

    data: Any

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes of the data."""
        ...

    def evaluate(
        self,
        network: nn.Module,
        batches: Iterable[tuple[Any, Tensor]],
        task: Any,
        classes: Sequence[str],
        after_batch: Callable[[], None],
    ) -> Scores:
        """See `wholeframe.train.inputs.Inputs`."""
        labelled = relabelled(batches, matched(self.classes, classes), len(classes))
        return evaluate(network, labelled, task, spec=self.data, after_batch=after_batch)
