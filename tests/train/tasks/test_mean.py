"""A weighted mean, by hand."""

import pytest
import torch

from wholeframe.train.tasks.mean import Mean, TrainAccuracy


def test_weights_count():
    mean = Mean()
    mean.update(torch.tensor(2.0), 3)
    mean.update(torch.tensor([1.0, 5.0]), torch.tensor([0.0, 1.0]))
    assert float(mean.compute()) == pytest.approx((6 + 5) / 4)
    mean.reset()
    mean.update(torch.tensor(7.0))
    assert float(mean.compute()) == 7


def test_the_accuracy_leaves_out_positions_without_a_label():
    accuracy = TrainAccuracy(ignore=-100)
    accuracy.update(torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 0, -100]))
    assert float(accuracy.compute()) == 0.5
