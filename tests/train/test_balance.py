"""Weights of classes, against scikit-learn's and torch's formulas by hand."""

import pytest
import torch
from torch.utils.data import TensorDataset

from wholeframe.train.balance import balanced, training_labels


def test_one_label_per_sample():
    # 6 samples of 3 classes that occur: 6 / (3 * 3), 6 / (3 * 2), 6 / (3 * 1); the fourth class has no sample.
    weights = balanced(torch.tensor([0, 0, 0, 1, 1, 2]), 4)
    assert weights.tolist() == pytest.approx([2 / 3, 1, 2, 1])


def test_positions_without_a_label_do_not_count():
    labels = torch.tensor([[0, -100, 1], [1, 1, -100]])
    assert balanced(labels, 2).tolist() == pytest.approx([4 / 2, 4 / 6])


def test_any_number_of_labels():
    labels = torch.tensor([[1.0, 0, 0], [0, 0, 0], [1, 1, 0], [1, 0, 0]])
    assert balanced(labels, 3).tolist() == pytest.approx([1 / 3, 3, 1])


def test_labels_of_a_data_set():
    class Labelled:
        labels = (0, 1, 1)

    assert training_labels(Labelled()).tolist() == [0, 1, 1]
    assert training_labels(TensorDataset(torch.zeros(2, 1), torch.tensor([1, 0]))).tolist() == [1, 0]
    with pytest.raises(ValueError, match="and object has no property `labels`; give it one"):
        training_labels(object())
