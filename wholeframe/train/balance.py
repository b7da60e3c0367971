"""Weights of classes in the loss, so that rare classes count as much as frequent ones."""

from typing import Any

import torch
from torch import Tensor


def training_labels(samples: Any) -> Tensor:
    """The labels of all training samples, read without decoding them.

    Args:
        samples: a data set with a property `labels`, or a `TensorDataset` whose second tensor has them.

    Returns:
        Indices `(n,)`, or ones and zeros `(n, k)`.

    Raises:
        ValueError: the data set has no labels of this kind.
    """
    labels = getattr(samples, "labels", None)
    if labels is None and len(tensors := getattr(samples, "tensors", ())) > 1:
        labels = tensors[1]
    if labels is None:
        raise ValueError(
            f"class_weights='balanced' counts the labels of all training samples, and {type(samples).__name__} has no "
            "property `labels`; give it one, `(n,)` indices or `(n, k)` ones and zeros, or leave --class-weights out"
        )
    return torch.as_tensor(labels)


def balanced(labels: Tensor, num_classes: int) -> Tensor:
    """Weights in inverse proportion to the number of samples of a class.

        w_c = n / (k n_c)           one label per sample, k classes of which n_c samples occur
        w_c = (n - n_c) / n_c       any number of labels: the weight of the n_c positives of a class

    A class without a sample has the weight 1.

    Source: King and Zeng, Logistic regression in rare events data (2001), as scikit-learn's `class_weight="balanced"`;
    `pos_weight` of torch.

    Args:
        labels: indices `(n, ...)`, negative for none; or ones and zeros `(n, k)` floats.
        num_classes: number of classes.

    Returns:
        `(k,)` float32.
    """
    if labels.is_floating_point():
        counts = labels.gt(0).sum(dim=0)
        weights = (len(labels) - counts) / counts
    else:
        counts = labels[labels >= 0].flatten().bincount(minlength=num_classes)
        weights = counts.sum() / (counts.gt(0).sum() * counts)
    return torch.where(counts > 0, weights, 1.0).float()
