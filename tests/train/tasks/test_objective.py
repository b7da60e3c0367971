"""What a score says, against values by hand."""

import pytest
import torch

from wholeframe.train.tasks.objective import OBJECTIVES, MeanAveragePrecision, average_precision


def test_average_precision_by_hand():
    scores = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.4, 0.3], [0.7, 0.3, 0.4], [0.1, 0.2, 0.5]])
    targets = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    # Class 0: positives at ranks 1 and 3, precision 1/1 and 2/3. Class 1: ranks 1 and 2. Class 2 has none.
    precision = average_precision(scores, targets)
    assert precision[:2].tolist() == pytest.approx([(1 + 2 / 3) / 2, 1.0]) and precision[2].isnan()


def test_a_class_without_a_positive_is_left_out_of_the_mean():
    metric = MeanAveragePrecision()
    logits = torch.tensor([[3.0, -9.0, 1.0], [-3.0, -9.0, 2.0]])
    metric.update(logits[:1], torch.tensor([[1, 0, 1]]))
    metric.update(logits[1:], torch.tensor([[0, 0, 0]]))
    assert float(metric.compute()) == pytest.approx((1 + 0.5) / 2)


def test_without_any_positive_there_is_no_score():
    metric = MeanAveragePrecision()
    metric.update(torch.zeros(2, 3), torch.zeros(2, 3))
    assert metric.compute().isnan()


def test_the_two_objectives():
    logits = torch.tensor([[2.0, 0.0, -2.0]])
    one, many = OBJECTIVES["one"], OBJECTIVES["many"]
    assert float(one.probabilities(logits).sum()) == pytest.approx(1)
    assert many.probabilities(logits)[0].tolist() == pytest.approx([0.8808, 0.5, 0.1192], abs=1e-4)
    assert float(one.loss(logits, torch.tensor([0]))) == pytest.approx(-float(logits.log_softmax(1)[0, 0]))
    by_hand = -(logits.sigmoid()[0, 0].log() + (1 - logits.sigmoid()[0, 1:]).log().sum()) / 3
    assert float(many.loss(logits, torch.tensor([[1.0, 0.0, 0.0]]))) == pytest.approx(float(by_hand))
    assert many.probabilities(torch.zeros(2, 3, 4, 5)).shape == one.probabilities(torch.zeros(2, 3, 4, 5)).shape


def test_accuracy_counts_what_asks():
    metric = OBJECTIVES["one"].metric(3)
    metric.update(torch.eye(3)[[0, 1, 1]], torch.tensor([0, 1, -100]))
    assert float(metric.compute()) == 1
