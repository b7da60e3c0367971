"""Classification: one class per sample (softmax), or any number of classes (a sigmoid per class)."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.functional.classification import binary_average_precision
from torchmetrics.utilities import dim_zero_cat

from wholeframe.data.synthetic import IGNORE
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

    def metric(self, num_classes: int) -> Metric:
        return _KINDS[self.labels].metric(num_classes)

    def train_metric(self) -> Metric:
        return _KINDS[self.labels].train_metric()

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

    def scores(self, predictions: Sequence[Tensor], labels: Sequence[Tensor]) -> "ClassScores":
        scores = ClassScores(torch.cat(list(predictions)), torch.cat(list(labels)))
        if not scores.read.any():
            raise ValueError(f"none of the {len(scores.labels)} samples could be read")
        return scores


def has_label(labels: Tensor) -> Tensor:
    """`(n,)`: which samples have a label; -1 throughout marks a sample that could not be read."""
    return labels.reshape(len(labels), -1).ge(0).any(dim=1)


# ------------------------------------------------------------------------------------------------ the metrics


def average_precision(scores: Float[Tensor, "b k"], targets: Tensor) -> Float[Tensor, "k"]:
    """Average precision per class: the mean, over the positives of a class, of the precision at each of them when all
    samples are ranked by their score for the class.

    Args:
        scores: a score per sample and class; only their order matters.
        targets: ones and zeros, `(b, k)`.

    Returns:
        `(k,)`; nan for a class without a positive. The mean over classes leaves it out, as the evaluation of Charades
        does (torchmetrics alone would count it as zero).
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


@dataclass(frozen=True)
class ClassScores:
    """Probabilities `(n, k)` and labels of n samples: `(n,)` indices, or `(n, k)` ones and zeros.

    A label of -1 marks a sample that could not be read; no figure counts it.
    """

    probabilities: Tensor
    labels: Tensor

    @property
    def many(self) -> bool:
        """Whether a sample may have any number of labels."""
        return self.labels.ndim == 2

    @property
    def read(self) -> Tensor:
        """`(n,)`: whether each sample was read."""
        return has_label(self.labels)

    @property
    def count(self) -> int:
        return int(self.read.sum())

    def top(self, k: int) -> float:
        """Fraction of the samples whose label is among the k most probable classes."""
        best = self.probabilities[self.read].topk(k, dim=1).indices
        return float((best == self.labels[self.read][:, None]).any(dim=1).float().mean())

    def samples(self) -> Tensor:
        """`(k,)`: the number of samples of every class."""
        labels = self.labels[self.read]
        return labels.sum(dim=0).long() if self.many else labels.bincount(minlength=self.probabilities.shape[1])

    def per_class(self) -> Tensor:
        """`(k,)`: accuracy, or average precision, of every class; nan for a class without a sample."""
        if self.many:
            return average_precision(self.probabilities[self.read], self.labels[self.read])
        right = self.labels[self.read & (self.probabilities.argmax(dim=1) == self.labels)]
        return right.bincount(minlength=self.probabilities.shape[1]) / self.samples()

    def mean_average_precision(self) -> float:
        """The mean over the classes that have a sample, as in the evaluation of Charades."""
        return float(self.per_class().nanmean())

    def summary(self) -> str:
        if self.many:
            absent = int((self.samples() == 0).sum())
            left_out = f" ({absent} classes without a sample left out)" if absent else ""
            return f"mAP {self.mean_average_precision():.4f}{left_out}"
        top5 = f", top-5 {self.top(5):.4f}" if self.probabilities.shape[1] > 5 else ""
        return f"top-1 {self.top(1):.4f}{top5}"

    def table(self, classes: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        figures = zip(classes, self.samples().tolist(), self.per_class().tolist(), strict=True)
        rows = [(name, str(count), f"{score:.4f}" if count else "no sample") for name, count, score in figures]
        return ("class", "samples", "average precision" if self.many else "accuracy"), rows

    def write(self, file: Path, names: Sequence[Sequence[str]], header: Sequence[str], classes: Sequence[str]) -> None:
        """A row per sample: its name, its label, the prediction, a probability per class."""
        with file.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow([*header, "label", "prediction", *classes])
            for name, p, label in zip(names, self.probabilities, self.labels, strict=True):
                if not bool(has_label(label[None])):
                    writer.writerow([*name, "not read", "", *[""] * len(classes)])
                    continue
                chosen = p > 0.5 if self.many else p.argmax()
                numbers = [f"{value:.6f}" for value in p.tolist()]
                writer.writerow([*name, _named(label, classes), _named(chosen, classes), *numbers])


def _named(label: Tensor, classes: Sequence[str]) -> str:
    if label.ndim == 0:
        return classes[int(label)]
    return ";".join(name for name, present in zip(classes, label.tolist(), strict=True) if present)
