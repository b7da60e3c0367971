"""What is asked of the network: one class per sample, or any number of them. Loss, probabilities and score of each."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.functional.classification import binary_average_precision
from torchmetrics.utilities import dim_zero_cat

from wholeframe.data.synthetic import IGNORE


def average_precision(scores: Tensor, targets: Tensor) -> Tensor:
    """Average precision per class, `(b, k)` and `(b, k)` to `(k,)`: the mean, over a class's positives, of the
    precision at each when all samples are ranked by their score for the class.

    nan for a class without a positive: it has no precision, and the mean over classes leaves it out, as the
    evaluation of Charades does (torchmetrics alone would count it as zero).
    """
    nan = scores.new_tensor(torch.nan)
    columns = zip(scores.T, targets.long().T, strict=True)
    return torch.stack([binary_average_precision(s, t) if t.any() else nan for s, t in columns])


class MeanAveragePrecision(Metric):
    """The mean of `average_precision` over the classes that have a positive."""

    scores: list[Tensor]
    targets: list[Tensor]

    def __init__(self):
        super().__init__()
        self.add_state("scores", default=[], dist_reduce_fx="cat")
        self.add_state("targets", default=[], dist_reduce_fx="cat")

    def update(self, logits: Tensor, targets: Tensor) -> None:
        self.scores.append(logits.float().sigmoid())
        self.targets.append(targets)

    def compute(self) -> Tensor:
        return average_precision(dim_zero_cat(self.scores), dim_zero_cat(self.targets)).nanmean()


class Objective(NamedTuple):
    """Loss of logits against labels, probabilities of logits, and the score by which epochs are compared."""

    loss: Callable[[Tensor, Tensor], Tensor]
    probabilities: Callable[[Tensor], Tensor]
    score: str
    metric: Callable[[int], Metric]


OBJECTIVES: dict[str, Objective] = {
    # Labels (b,) of logits (b, k); or (b, h, w) of (b, k, h, w), where a label may be IGNORE.
    "one": Objective(
        loss=partial(F.cross_entropy, ignore_index=IGNORE),
        probabilities=partial(torch.softmax, dim=1),
        score="accuracy",
        metric=partial(MulticlassAccuracy, average="micro", ignore_index=IGNORE),
    ),
    # Labels (b, k) of zeros and ones.
    "many": Objective(
        loss=F.binary_cross_entropy_with_logits,
        probabilities=torch.sigmoid,
        score="mAP",
        metric=lambda classes: MeanAveragePrecision(),
    ),
}
