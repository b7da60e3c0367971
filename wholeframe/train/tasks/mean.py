"""A weighted mean over the batches of an epoch."""

import torch
from torch import Tensor
from torchmetrics import Metric


class Mean(Metric):
    """sum(w x) / sum(w), without a copy from an accelerator while it adds.

    torchmetrics' `MeanMetric` looks for NaN in every value, which waits for the device, or drops the weights.
    """

    total: Tensor
    weight: Tensor

    def __init__(self):
        super().__init__()
        self.add_state("total", default=torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("weight", default=torch.zeros(()), dist_reduce_fx="sum")

    def update(self, values: Tensor, weights: Tensor | float = 1.0) -> None:
        weights = torch.as_tensor(weights, dtype=torch.float32, device=values.device).expand(values.shape)
        self.total = self.total + (values.float() * weights).sum()
        self.weight = self.weight + weights.sum()

    def compute(self) -> Tensor:
        return self.total / self.weight


class TrainAccuracy(Mean):
    """The fraction of right predictions in a training epoch.

    Args:
        ignore: the label of a position that does not count.
    """

    def __init__(self, ignore: int):
        super().__init__()
        self.ignore = ignore

    def update(self, logits: Tensor, labels: Tensor) -> None:  # type: ignore[override]  # A metric has its own inputs.
        super().update(logits.argmax(dim=1) == labels, (labels != self.ignore).float())
