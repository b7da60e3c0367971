"""The learning curve of one training of a comparison, short enough for a line of `trainings.jsonl`."""

import statistics
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

POINTS = 50
"""the most points of a curve"""


class LossCurve(Callback):
    """Keeps the loss of every training step, and the validation score of every epoch.

    Args:
        score: the metric that Lightning logs after an epoch, such as `val/accuracy`.
    """

    def __init__(self, score: str):
        self.score = score
        self.steps: list[Tensor] = []
        self.scores: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.steps.append(outputs["loss"].detach())

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self.scores.append(float(trainer.callback_metrics[self.score]))

    def losses(self) -> list[float]:
        """The curve, see `thinned`."""
        return thinned(torch.stack(self.steps).double().tolist() if self.steps else [])


def thinned(values: Sequence[float], most: int = POINTS) -> list[float]:
    """The means of equal spans, as many as there are values if these are few.

        span k of n:  values[floor(k N / n) : floor((k + 1) N / n)]

    Args:
        values: one per step.
        most: the number of spans, if there are more values than that.
    """
    count, spans = len(values), min(len(values), most)
    return [statistics.fmean(values[k * count // spans : (k + 1) * count // spans]) for k in range(spans)]
