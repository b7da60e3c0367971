"""Evaluate a trained network on labelled samples."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from wholeframe.surgery.probe import evaluating
from wholeframe.surgery.verify import refuse_lost
from wholeframe.train.inputs import DataSpec
from wholeframe.train.inputs.images import Images
from wholeframe.train.tasks import Scores, Task
from wholeframe.train.tasks.classification import Classification

ONE_LABEL, IMAGES = Classification(), Images()


def evaluate(
    network: nn.Module,
    data: Iterable[tuple[Any, Any]],
    task: Task = ONE_LABEL,
    *,
    spec: DataSpec = IMAGES,
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
        spec: how the network takes a batch, such as `recipe.data`.
        after_batch: called after every batch, for a progress bar.

    Returns:
        The scores of the task; of `Classification`, see `ClassScores`.

    Raises:
        ValueError: none of the samples could be read.
    """
    predictions, labels = [], []
    refuse_lost(network)
    with evaluating(network), torch.no_grad():
        for samples, label in data:
            predictions.append(task.predictions(spec.outputs(network, samples)).cpu())
            labels.append(label)
            after_batch()
    return task.scores(predictions, labels)
