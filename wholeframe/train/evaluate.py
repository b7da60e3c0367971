"""What a trained network says of held-out samples, and how often it is right."""

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from wholeframe.models.resnet_video import VideoResNet
from wholeframe.train.tasks.objective import OBJECTIVES, Objective, average_precision

AT_ONCE = 8  # views in one forward pass: those of one video, 30 and more, may not fit into memory together

AsInput = Callable[[Tensor], Tensor]
"""From samples on the device of a network to what it takes, such as `recipe.data.as_input`."""


@dataclass(frozen=True)
class Scores:
    """Probabilities `(n, k)` and labels of n samples: `(n,)` indices, or `(n, k)` ones and zeros.

    A label of -1 marks a sample that could not be read; it counts nowhere.
    """

    probabilities: Tensor
    labels: Tensor

    @property
    def many(self) -> bool:
        """Whether a sample may have any number of labels."""
        return self.labels.ndim == 2

    @property
    def read(self) -> Tensor:
        """`(n,)`: which samples could be read."""
        return has_label(self.labels)

    def top(self, k: int) -> float:
        """How often the label is among the k most probable classes."""
        best = self.probabilities[self.read].topk(k, dim=1).indices
        return float((best == self.labels[self.read][:, None]).any(dim=1).float().mean())

    def samples(self) -> Tensor:
        """`(k,)`: how many samples of every class there are."""
        labels = self.labels[self.read]
        return labels.sum(dim=0).long() if self.many else labels.bincount(minlength=self.probabilities.shape[1])

    def per_class(self) -> Tensor:
        """`(k,)`: accuracy, or average precision, of every class; nan where it has no sample."""
        if self.many:
            return average_precision(self.probabilities[self.read], self.labels[self.read])
        right = self.labels[self.read & (self.probabilities.argmax(dim=1) == self.labels)]
        return right.bincount(minlength=self.probabilities.shape[1]) / self.samples()

    def mean_average_precision(self) -> float:
        """The mean over the classes that have a sample, as the evaluation of Charades takes it."""
        return float(self.per_class().nanmean())


def evaluate(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    objective: Objective = OBJECTIVES["one"],
    *,
    size: int = 224,
    as_input: AsInput = lambda samples: samples,
    after_batch: Callable[[], None] = lambda: None,
) -> Scores:
    """Probabilities for images `(b, 3, h, w)`, or for videos as views `(b, v, 3, t, h, w)`, in eval mode.

    `size` is that of the crops in training, see `probabilities_of`.
    """
    probabilities, labels = [], []
    for samples, label in batches:
        probabilities.append(probabilities_of(network, samples, objective, size, as_input).cpu())
        labels.append(label)
        after_batch()
    scores = Scores(torch.cat(probabilities), torch.cat(labels))
    if not scores.read.any():
        raise ValueError(f"none of the {len(scores.labels)} samples could be read")
    return scores


@torch.no_grad()
def probabilities_of(
    network: nn.Module,
    samples: Tensor,
    objective: Objective,
    size: int = 224,
    as_input: AsInput = lambda samples: samples,
) -> Tensor:
    """`(b, k)` for images `(b, 3, h, w)` or views of videos `(b, v, 3, t, h, w)`.

        p = mean over views, mean over places, of softmax(logits)        (or of a sigmoid per class)

    Probabilities are averaged and never logits (Wang et al., CVPR 2018, section 5.1, and their released code). A crop
    larger than the `size` of training has several places, where the network is a `VideoResNet`: it is fully
    convolutional.
    """
    network.eval()
    device = next(network.parameters()).device
    videos = samples.ndim == 6
    parts = samples.flatten(0, 1).split(AT_ONCE) if videos else [samples]
    cells = math.ceil(size / 32)  # of the last map, 7 where size is 224
    forward = partial(network.windows, side=cells) if isinstance(network, VideoResNet) else network
    each = torch.cat([objective.probabilities(forward(as_input(part.to(device)))) for part in parts])
    each = each.flatten(2).mean(dim=2) if each.ndim > 2 else each
    return each.unflatten(0, samples.shape[:2]).mean(dim=1) if videos else each


def has_label(labels: Tensor) -> Tensor:
    """`(n,)`: which samples have a label; -1 throughout says that a sample could not be read."""
    return labels.reshape(len(labels), -1).ge(0).any(dim=1)


def write_scores(
    scores: Scores, names: Sequence[Sequence[str]], header: Sequence[str], classes: Sequence[str], file: Path
) -> None:
    """A row per sample: what it is called (`names` under `header`), its label, the answer, a probability per class."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*header, "label", "answer", *classes])
        for name, p, label in zip(names, scores.probabilities, scores.labels, strict=True):
            if not bool(has_label(label[None])):
                writer.writerow([*name, "not read", "", *[""] * len(classes)])
                continue
            answer = p > 0.5 if scores.many else p.argmax()
            numbers = [f"{value:.6f}" for value in p.tolist()]
            writer.writerow([*name, _named(label, classes), _named(answer, classes), *numbers])


def _named(label: Tensor, classes: Sequence[str]) -> str:
    """The class of an index, or those of ones among zeros."""
    indices = label.nonzero().flatten() if label.ndim else label[None]
    return ";".join([classes[int(index)] for index in indices])
