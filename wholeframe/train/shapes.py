"""The embedded detection task for a comparison: its splits, and its two figures."""

import statistics
from collections.abc import Sequence

import torch
from torch import nn

from wholeframe.data.shapes import CLASSES, OWN, PARTNERED, Shapes
from wholeframe.surgery.probe import evaluating
from wholeframe.train.loaders import Batching, Splits
from wholeframe.train.tasks.coco_scores import score_detections


def shapes_splits(data: Batching, seed: int, *, steps: int, test: int = 200) -> Splits:
    """The task `shapes` of `wholeframe compare`.

    Args:
        data: the batch size.
        seed: of the images.
        steps: training steps; there are as many training images as these steps see once.
        test: number of held-out images. No choice is made on them while training.
    """
    train, held_out = Shapes(steps * data.batch, 2 * seed), Shapes(test, 2 * seed + 1)
    return Splits(train, held_out, CLASSES, data, seed, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


@torch.no_grad()
def partner_and_own(network: nn.Module, shapes: Shapes) -> tuple[float, float]:
    """AP50 of the boxes of shapes that a partner names, and of those that their own form names.

    Args:
        network: a detector with the interface of torchvision's, on any device.
        shapes: the images.

    Returns:
        Two means over classes, between 0 and 1. Without a look at the partner the first is about 0.5.
    """
    device = next(network.parameters()).device
    with evaluating(network):
        found = [(index, network([shapes[index][0].to(device)])[0]) for index in range(len(shapes))]
    scores = score_detections(found, shapes.annotations, ("bbox",))

    def mean(names: Sequence[str]) -> float:
        return statistics.mean(scores.figures("bbox", name)["AP50"] for name in names)

    return mean(PARTNERED), mean(OWN)
