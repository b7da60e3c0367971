"""Predictions of a classification with their labels, and every figure that is derived from them."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_average_precision,
    binary_calibration_error,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multilabel_confusion_matrix,
)

from wholeframe.explain.answers import draw_confusion
from wholeframe.messages import listed, shown
from wholeframe.train.whole_files import write_json

UNEQUAL = 2
"""Classes are unequal where the largest has at least this many times the samples of the smallest."""


def has_label(labels: Tensor) -> Tensor:
    """`(n,)`: which samples have a label; -1 throughout marks a sample that could not be read."""
    return labels.reshape(len(labels), -1).ge(0).any(dim=1)


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


@dataclass(frozen=True)
class ClassScores:
    """Probabilities `(n, k)` and labels of n samples: `(n,)` indices, or `(n, k)` ones and zeros.

    A label of -1 marks a sample that could not be read; no figure counts it. With any number of labels a class is
    predicted where its probability is above 0.5.
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

    # ------------------------------------------------------------------------------------------- per class

    def samples(self) -> Tensor:
        """`(k,)`: the number of samples of every class."""
        labels = self.labels[self.read]
        return labels.sum(dim=0).long() if self.many else labels.bincount(minlength=self.probabilities.shape[1])

    def per_class(self) -> Tensor:
        """`(k,)`: accuracy, or average precision, of every class; nan for a class without a sample."""
        if self.many:
            return average_precision(self.probabilities[self.read], self.labels[self.read])
        return self.recall()

    def confusion(self) -> Tensor:
        """The counts of every label (row) and prediction (column).

        Returns:
            `(k, k)` int64. With any number of labels `(k, 2, 2)`: each class alone, its absence before its presence.
        """
        p, labels = self.probabilities[self.read], self.labels[self.read].long()
        classes = p.shape[1]
        if self.many:
            return multilabel_confusion_matrix((p > 0.5).long(), labels, num_labels=classes)
        return multiclass_confusion_matrix(p.argmax(dim=1), labels, num_classes=classes)

    def confused(self) -> Tensor:
        """`(k, k)`: of the samples with a label (row), the share that is given a class (column); nan without a sample.

        The diagonal is the recall. With any number of labels a sample counts in the row of each.
        """
        p, labels = self.probabilities[self.read], self.labels[self.read]
        given = (p > 0.5).double() if self.many else torch.eye(p.shape[1], dtype=torch.double)[p.argmax(dim=1)]
        present = labels.double() if self.many else torch.eye(p.shape[1], dtype=torch.double)[labels]
        return present.T @ given / present.sum(dim=0)[:, None]

    def cells(self) -> Tensor:
        """`(k, k)`: what a picture of `confused` has in its cells: counts; with any number of labels percent."""
        return (100 * self.confused()).nan_to_num().round() if self.many else self.confusion()

    def precision(self) -> Tensor:
        """`(k,)`: of the predictions of a class, the share that is right; nan for a class that is never predicted."""
        right, predicted, _ = self._counts()
        return right / predicted

    def recall(self) -> Tensor:
        """`(k,)`: of the samples of a class, the share that is found; nan for a class without a sample."""
        right, _, present = self._counts()
        return right / present

    def f1(self) -> Tensor:
        """`(k,)`: 2 right / (predicted + present); nan for a class that is neither predicted nor present."""
        right, predicted, present = self._counts()
        return 2 * right / (predicted + present)

    def _counts(self) -> tuple[Tensor, Tensor, Tensor]:
        """The right predictions, all predictions and the samples of every class."""
        counts = self.confusion().double()
        if self.many:
            return counts[:, 1, 1], counts[:, :, 1].sum(dim=1), counts[:, 1].sum(dim=1)
        return counts.diagonal(), counts.sum(dim=0), counts.sum(dim=1)

    # ------------------------------------------------------------------------------------- of all samples

    def top(self, k: int) -> float:
        """Fraction of the samples whose label is among the k most probable classes."""
        best = self.probabilities[self.read].topk(k, dim=1).indices
        return float((best == self.labels[self.read][:, None]).any(dim=1).double().mean())

    def mean_average_precision(self) -> float:
        """The mean over the classes that have a sample, as in the evaluation of Charades."""
        return float(self.per_class().nanmean())

    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have a sample: each class counts alike, however few its samples."""
        return float(self.recall().nanmean())

    def macro_f1(self) -> float:
        """The mean F1 of the classes that have a sample."""
        return float(self.f1()[self.samples() > 0].mean())

    def calibration_error(self) -> float:
        """The expected calibration error in 15 bins of confidence.

            sum over bins of (share of the samples) * abs(accuracy - mean confidence)

        Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3. With any number of labels
        every pair of a sample and a class is one decision.
        """
        # A mean of probabilities may exceed 1 by a rounding, and torchmetrics would take it for a logit.
        p, labels = self.probabilities[self.read].clamp(0, 1), self.labels[self.read].long()
        if self.many:
            return float(binary_calibration_error(p.flatten(), labels.flatten(), n_bins=15))
        return float(multiclass_calibration_error(p, labels, num_classes=p.shape[1], n_bins=15))

    def figures(self) -> dict[str, float | int | None]:
        """The figures of all samples by name; None for one that has no value."""
        samples = self.samples()
        numbers: dict[str, float | int] = {
            "samples": self.count,
            "not_read": len(self.labels) - self.count,
            "classes": len(samples),
            "classes_without_a_sample": int((samples == 0).sum()),
        }
        if self.many:
            numbers["mAP"] = self.mean_average_precision()
        else:
            numbers |= {f"top{k}": self.top(k) for k in (1, 5) if k == 1 or k < len(samples)}
            numbers["balanced_accuracy"] = self.balanced_accuracy()
        numbers |= {"macro_f1": self.macro_f1(), "calibration_error": self.calibration_error()}
        return {name: None if math.isnan(number) else number for name, number in numbers.items()}

    # ------------------------------------------------------------------------------------------- in words

    def summary(self, classes: Sequence[str] = ()) -> str:
        """The figures of the whole split, such as `top-1 0.9120`; unequal classes add the balanced accuracy.

        Args:
            classes: the names of the classes, to name the smallest; by default it is named by its index.
        """
        samples = self.samples()
        absent = int((samples == 0).sum())
        left_out = f" ({absent} class{'es' if absent > 1 else ''} without a sample left out)" if absent else ""
        if self.many:
            return f"mAP {self.mean_average_precision():.4f}{left_out}"
        top5 = f", top-5 {self.top(5):.4f}" if len(samples) > 5 else ""
        few, most = int(samples[samples > 0].min()), int(samples.max())
        if most < UNEQUAL * few:
            return f"top-1 {self.top(1):.4f}{top5}"
        names = [f"'{shown(name, 60)}'" for name in classes] or [f"class {label}" for label in range(len(samples))]
        smallest = [names[label] for label in (samples == few).nonzero().flatten().tolist()]
        return (
            f"top-1 {self.top(1):.4f}{top5}, balanced accuracy {self.balanced_accuracy():.4f}{left_out} (the classes "
            f"are unequal: {few} to {most} samples each, the fewest of {listed(smallest, most=3)})"
        )

    def table(self, classes: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Column names, and a row of figures per class, as a person reads them."""
        header, rows = self._by_class(classes)
        without = ["never predicted" if column == "precision" else "no sample" for column in header[1:]]
        return header, [(name, *map(_figure, figures, without)) for name, *figures in rows]

    def _by_class(self, classes: Sequence[str]) -> tuple[tuple[str, ...], list[tuple]]:
        """Column names, and a row per class: its name, the number of its samples, and its figures, nan for none."""
        columns = {"samples": self.samples()}
        if self.many:
            columns["average precision"] = self.per_class()
        columns |= {"precision": self.precision(), "recall": self.recall(), "F1": self.f1()}
        rows = zip(classes, *(column.tolist() for column in columns.values()), strict=True)
        return ("class", *columns), list(rows)

    # ----------------------------------------------------------------------------------------- into files

    def write(
        self, folder: Path, names: Sequence[Sequence[str]], header: Sequence[str], classes: Sequence[str], title: str
    ) -> str:
        """All files of an evaluation, see `wholeframe.train.evaluations`."""
        self.write_samples(folder / "scores.csv", names, header, classes)
        self.write_classes(folder / "classes.csv", classes)
        self.write_confusion(folder / "confusion.csv", classes)
        write_json(folder / "figures.json", self.figures())
        draw_confusion(self.confused().numpy(), self.cells().numpy(), classes, folder / "confusion.png", title)
        return "every prediction, the figures of every class and the confusion matrix"

    def write_samples(
        self, file: Path, names: Sequence[Sequence[str]], header: Sequence[str], classes: Sequence[str]
    ) -> None:
        """A row per sample: its name, its label, the prediction, a probability per class."""
        fixed = (*header, "label", "prediction")
        rows = []
        for name, p, label in zip(names, self.probabilities, self.labels, strict=True):
            if bool(has_label(label[None])):
                rows.append([*name, named(label, classes), prediction(p, classes, self.many), *numbers(p)])
            else:
                rows.append([*name, "not read", "", *[""] * len(classes)])
        write_rows(file, (*fixed, *columns_of(classes, fixed)), rows)

    def write_classes(self, file: Path, classes: Sequence[str]) -> None:
        """A row per class: samples, precision, recall, F1, and the average precision with any number of labels."""
        header, rows = self._by_class(classes)
        write_rows(file, header, ((name, *(_figure(figure, "") for figure in figures)) for name, *figures in rows))

    def write_confusion(self, file: Path, classes: Sequence[str]) -> None:
        """The counts of `confusion`: a row per label and a column per prediction, or a row of four counts per class."""
        counts = self.confusion().tolist()
        if self.many:
            header = ("class", "true positive", "false positive", "false negative", "true negative")
            rows = [(name, tp, fp, fn, tn) for name, ((tn, fp), (fn, tp)) in zip(classes, counts, strict=True)]
        else:
            header = ("label", *columns_of(classes, ("label",)))
            rows = [(name, *row) for name, row in zip(classes, counts, strict=True)]
        write_rows(file, header, rows)


def columns_of(classes: Sequence[str], fixed: Sequence[str]) -> list[str]:
    """A column name per class: its own, with its index where it is that of a fixed column or of another class."""
    taken = {*fixed, *(name for name, times in Counter(classes).items() if times > 1)}
    return [f"{name} (class {label})" if name in taken else name for label, name in enumerate(classes)]


def named(label: Tensor, classes: Sequence[str]) -> str:
    """The class of an index; or those of a row of ones and zeros, joined by `;`, with `\\\\;` for one in a name."""
    if label.ndim == 0:
        return classes[int(label)]
    present = (name for name, there in zip(classes, label.tolist(), strict=True) if there)
    return ";".join(name.replace(";", "\\;") for name in present)


def prediction(p: Tensor, classes: Sequence[str], many: bool) -> str:
    """The most probable class of one sample; with any number of labels those above 0.5, as `named` joins them."""
    return named(p > 0.5 if many else p.argmax(), classes)


def numbers(p: Tensor) -> list[str]:
    """Probabilities as the cells of a row."""
    return [f"{value:.6f}" for value in p.tolist()]


def write_rows(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file in UTF-8; bytes of a name that are not UTF-8 are written as escapes, such as `\\udcff`."""
    with file.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        csv.writer(stream).writerows([header, *rows])


def _figure(value: float | int, without: str) -> str:
    """A cell: a count as it is, a share with four digits, and a word where there is none."""
    if isinstance(value, int):
        return str(value)
    return without if math.isnan(value) else f"{value:.4f}"
