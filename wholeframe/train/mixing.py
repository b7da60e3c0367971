"""Mixup and CutMix of a training batch, by torchvision's transforms."""

from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from wholeframe.train.recipe import Mixing


class Mix:
    """Mixes the samples of a batch and their labels.

        x <- w x_i + (1 - w) x_(i-1)        mixup, w of Beta(mixup, mixup)
        x <- x_i outside of a rectangle, x_(i-1) within it        CutMix, area of Beta(cutmix, cutmix)

    The labels are mixed with the same weights. The random numbers are those of torch, which a training seeds by
    (seed, epoch).

    Args:
        mixing: of the recipe.
        num_classes: number of classes.
    """

    def __init__(self, mixing: Mixing, num_classes: int):
        chosen = [
            made(alpha=alpha, num_classes=num_classes)
            for made, alpha in ((v2.MixUp, mixing.mixup), (v2.CutMix, mixing.cutmix))
            if alpha
        ]
        self.transform = v2.RandomChoice(chosen) if chosen else None

    def __call__(self, samples: Any, labels: Any) -> tuple[Any, Any]:
        """Mix a batch.

        Args:
            samples: images `(b, 3, h, w)` or clips `(b, 3, t, h, w)`, floats; of any kind without mixing.
            labels: indices `(b,)`, or ones and zeros `(b, k)`.

        Returns:
            Samples of the same shape, and labels `(b, k)`; both unchanged without mixing.

        Raises:
            ValueError: the labels are those of positions, which cannot be mixed.
        """
        if self.transform is None:
            return samples, labels
        if labels.ndim > 2:
            raise ValueError(
                "mixup and cutmix mix the labels of whole samples, and these are labels of positions; give --mixup 0 "
                "--cutmix 0"
            )
        # A clip is taken for a video whose frames come first; both transforms treat these two axes alike.
        given = tv_tensors.Video(samples) if samples.ndim == 5 else samples
        mixed, mixed_labels = self.transform(given, labels)
        return mixed.as_subclass(torch.Tensor), mixed_labels


def whole(labels: Tensor, mixed: Tensor) -> Tensor:
    """Labels that a score can count: of mixed samples, those of the larger part.

    Args:
        labels: before mixing, `(b,)` indices or `(b, k)` ones and zeros.
        mixed: after mixing.
    """
    if mixed is labels:
        return labels
    return mixed.argmax(dim=1) if labels.ndim == 1 else mixed.ge(0.5).to(labels.dtype)
