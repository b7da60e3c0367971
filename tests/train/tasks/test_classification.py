"""Losses, probabilities and scores of classification, against values by hand."""

import csv
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from wholeframe.train.tasks.class_scores import ClassScores, average_precision
from wholeframe.train.tasks.classification import Classification, MeanAveragePrecision

ABC = SimpleNamespace(classes=("a", "b", "c"), val=None)


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


ONE, MANY = Classification("one"), Classification("many")


def test_one_and_many_labels():
    logits = torch.tensor([[2.0, 0.0, -2.0]])
    assert float(ONE.predictions(logits[:, None]).sum()) == pytest.approx(1)
    assert MANY.predictions(logits[:, None])[0].tolist() == pytest.approx([0.8808, 0.5, 0.1192], abs=1e-4)
    assert float(ONE.loss(logits, torch.tensor([0]))) == pytest.approx(-float(logits.log_softmax(1)[0, 0]))
    by_hand = -(logits.sigmoid()[0, 0].log() + (1 - logits.sigmoid()[0, 1:]).log().sum()) / 3
    assert float(MANY.loss(logits, torch.tensor([[1.0, 0.0, 0.0]]))) == pytest.approx(float(by_hand))
    assert (ONE.score, MANY.score) == ("accuracy", "mAP")


@pytest.mark.parametrize("labels", ["one", "many"])
def test_probabilities_are_averaged_over_places_and_views_and_never_logits(labels):
    outputs = torch.randn(2, 3, 4, 1, 5, generator=torch.Generator().manual_seed(0))
    each = outputs.softmax(dim=2) if labels == "one" else outputs.sigmoid()
    predictions = Classification(labels).predictions(outputs)
    assert torch.allclose(predictions, each.mean(dim=(1, 3, 4)))
    logits = outputs.mean(dim=(1, 3, 4))
    assert not torch.allclose(predictions, logits.softmax(1) if labels == "one" else logits.sigmoid(), atol=0.02)


def test_accuracy_counts_positions_with_a_label():
    metric = ONE.metric(ABC)
    metric.update(torch.eye(3)[[0, 1, 1]], torch.tensor([0, 1, -100]))
    assert float(metric.compute()) == 1


def test_validation_leaves_out_samples_that_were_not_read():
    metric, given = ONE.metric(ABC), nn.Identity()
    logits = 3 * torch.eye(3)
    loss, count = ONE.validate(given, logits, torch.tensor([0, -1, 1]), metric)
    expected = nn.functional.cross_entropy(logits[[0, 2]], torch.tensor([0, 1]))
    assert count == 2 and float(loss) == pytest.approx(float(expected)) and float(metric.compute()) == 0.5
    assert ONE.validate(given, logits, torch.tensor([-1, -1, -1]), metric) is None


def test_what_could_not_be_read_counts_nowhere():
    one = ClassScores(torch.eye(3), torch.tensor([0, -1, 0]))
    assert one.read.tolist() == [True, False, True] and one.top(1) == 0.5 and one.samples().tolist() == [2, 0, 0]
    many = ClassScores(torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.3]]), torch.tensor([[1.0, 0], [-1, -1], [0, 0]]))
    assert many.mean_average_precision() == 1 and many.samples().tolist() == [1, 0]


def test_scores_as_a_table(tmp_path):
    scores = ClassScores(torch.tensor([[0.9, 0.6], [0.2, 0.1], [0.5, 0.5]]), torch.tensor([[1.0, 0], [1, 1], [-1, -1]]))
    scores.write_samples(tmp_path / "s.csv", [("a",), ("b",), ("c",)], ("file",), ("walk", "sit"))
    with (tmp_path / "s.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["file", "label", "prediction", "walk", "sit"],
        ["a", "walk", "walk;sit", "0.900000", "0.600000"],
        ["b", "walk;sit", "", "0.200000", "0.100000"],
        ["c", "not read", "", "", ""],
    ]


def test_smoothed_and_weighted_losses_by_hand():
    logits, weights = torch.tensor([[2.0, 0.0], [0.5, 1.0]]), torch.tensor([1.0, 3.0])
    logs = logits.log_softmax(1)
    smooth = Classification("one", label_smoothing=0.2)
    assert float(smooth.loss(logits, torch.tensor([0, 1]))) == pytest.approx(
        -float(0.9 * logs[0, 0] + 0.1 * logs[0, 1] + 0.9 * logs[1, 1] + 0.1 * logs[1, 0]) / 2
    )
    assert float(ONE.loss(logits, torch.tensor([0, 1]), weights)) == pytest.approx(
        -float(logs[0, 0] + 3 * logs[1, 1]) / 4
    )
    soft = torch.tensor([[0.3, 0.7], [1.0, 0.0]])
    assert float(ONE.loss(logits, soft)) == pytest.approx(-float((soft * logs).sum()) / 2)

    positive, negative = logits.sigmoid().log(), (-logits).sigmoid().log()
    many = Classification("many", label_smoothing=0.2)
    smoothed = 0.8 * soft + 0.1
    by_hand = -(weights * smoothed * positive + (1 - smoothed) * negative).mean()
    assert float(many.loss(logits, soft, weights)) == pytest.approx(float(by_hand))


@pytest.mark.parametrize("value", [-0.1, 1, float("nan")])
def test_smoothing_that_cannot_be(value):
    with pytest.raises(ValueError, match="label_smoothing must be at least 0 and below 1"):
        Classification(label_smoothing=value)
