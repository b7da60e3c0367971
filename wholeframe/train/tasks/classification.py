"""Classification: one class per sample (softmax), or any number of classes (a sigmoid per class)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.utilities import dim_zero_cat

from wholeframe.data.synthetic import IGNORE
from wholeframe.train.tasks import Validation
from wholeframe.train.tasks.class_scores import ClassScores, average_precision, has_label
from wholeframe.train.tasks.mean import TrainAccuracy

# ------------------------------------------------------------------------------------------------ the task


@dataclass(frozen=True)
class Classification:
    """Classes of whole samples, from logits `(b, k)`; or of positions, from logits `(b, k, h, w)`.

    With `labels="one"` a label is an index, `(b,)` or `(b, h, w)` where `IGNORE` marks a position without a label; the
    loss is cross-entropy and the score accuracy. With `labels="many"` a label is a row of ones and zeros, `(b, k)`; the
    loss is binary cross-entropy and the score mean average precision.
    """

    labels: Literal["one", "many"] = "one"
    """one class per sample (softmax, accuracy), or any number (a sigmoid per class, mean average precision)"""
    class_weights: Literal["balanced"] | None = None
    """weights of the classes in the training loss: balanced, in inverse proportion to their numbers of training
    samples; None for equal weights"""
    label_smoothing: float = 0.0
    """fraction of every training label that is spread evenly over the classes; 0.1 is usual"""

    def __post_init__(self):
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing must be at least 0 and below 1, got {self.label_smoothing} (0.1 is usual)"
            )

    @property
    def score(self) -> str:
        return _KINDS[self.labels].score

    def metric(self, splits: Validation) -> Metric:
        return _KINDS[self.labels].metric(len(splits.classes))

    def train_metric(self) -> Metric:
        return _KINDS[self.labels].train_metric()

    def losses(
        self, network: nn.Module, samples: Tensor, labels: Tensor, weights: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        logits = network(samples)
        return {"loss": self.loss(logits, labels, weights)}, logits

    def loss(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """The training loss: of indices `(b,)`, or of the fractions `(b, k)` of every class."""
        return _KINDS[self.labels].loss(logits, labels, weights, self.label_smoothing)

    def validate(
        self, network: nn.Module, samples: Tensor, labels: Tensor, metric: Metric
    ) -> tuple[Tensor, int] | None:
        read = has_label(labels)
        if not read.any():
            return None
        logits, labels = network(samples[read]), labels[read]
        metric.update(logits, labels)
        return _KINDS[self.labels].loss(logits, labels), len(logits)

    def predictions(self, outputs: Float[Tensor, "b v k *places"]) -> Float[Tensor, "b k"]:
        """Probabilities of the classes.

            p = mean over views, mean over places, of softmax(logits)        (or of a sigmoid per class)

        Probabilities are averaged, not logits (Wang et al., CVPR 2018, section 5.1, and their released code).
        """
        each = _KINDS[self.labels].probabilities(outputs)
        return each.flatten(3).mean(dim=3).mean(dim=1) if each.ndim > 3 else each.mean(dim=1)

    def scores(self, predictions: Sequence[Tensor], labels: Sequence[Tensor]) -> ClassScores:
        scores = ClassScores(torch.cat(list(predictions)), torch.cat(list(labels)))
        if not scores.read.any():
            raise ValueError(f"none of the {len(scores.labels)} samples could be read")
        if wrong := int((~scores.probabilities[scores.read].isfinite()).any(dim=1).sum()):
            raise ValueError(
                f"{wrong} of the {scores.count} predictions are not finite numbers, so the weights or samples are not "
                "either; take the weights of an earlier epoch"
            )
        return scores


# ------------------------------------------------------------------------------------------------ the metrics


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


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of a softmax; `weights` are those of the classes."""
    return F.cross_entropy(logits, labels, weights, ignore_index=IGNORE, label_smoothing=smoothing)


def binary_cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy of a sigmoid per class; `weights` are those of the positives of each class."""
    if smoothing:
        labels = (1 - smoothing) * labels + smoothing / 2
    return F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weights)


class _Kind(NamedTuple):
    loss: Callable[..., Tensor]
    probabilities: Callable[[Tensor], Tensor]
    score: str
    metric: Callable[[int], Metric]
    train_metric: Callable[[], Metric]


_KINDS: dict[str, _Kind] = {
    "one": _Kind(
        loss=cross_entropy,
        probabilities=partial(torch.softmax, dim=2),
        score="accuracy",
        metric=partial(MulticlassAccuracy, average="micro", ignore_index=IGNORE),
        train_metric=partial(TrainAccuracy, ignore=IGNORE),
    ),
    "many": _Kind(
        loss=binary_cross_entropy,
        probabilities=torch.sigmoid,
        score="mAP",
        metric=lambda num_classes: MeanAveragePrecision(),
        train_metric=MeanAveragePrecision,
    ),
}
