"""Accuracy of a trained network on images."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix


@dataclass(frozen=True)
class Scores:
    """What `evaluate` found; `confusion[i, j]` counts images of class i that were called j."""

    images: int
    top1: float
    top5: float | None
    confusion: Tensor

    def per_class(self) -> Tensor:
        """Accuracy of every class; nan where it has no image."""
        return self.confusion.diagonal() / self.confusion.sum(dim=1)


@torch.no_grad()
def evaluate(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    classes: int,
    *,
    after_batch: Callable[[], None] = lambda: None,
) -> Scores:
    """Top-1 and (from six classes on) top-5 accuracy over all batches, in eval mode on the network's device."""
    device = next(network.parameters()).device
    top1 = MulticlassAccuracy(classes, average="micro").to(device)
    top5 = MulticlassAccuracy(classes, average="micro", top_k=5).to(device) if classes > 5 else None
    confusion = MulticlassConfusionMatrix(classes).to(device)
    images = 0
    network.eval()
    for image, label in batches:
        logits, label = network(image.to(device)), label.to(device)
        for metric in (top1, top5, confusion):
            if metric is not None:
                metric.update(logits, label)
        images += len(image)
        after_batch()
    return Scores(images, float(top1.compute()), float(top5.compute()) if top5 else None, confusion.compute().cpu())
