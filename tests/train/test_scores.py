"""`evaluate`: every figure against one computed by hand."""

import pytest
import torch
from torch import nn

from wholeframe.train.evaluate import evaluate


class Fixed(nn.Module):
    """Gives its input, which are logits; remembers whether it was evaluating."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.modes = set()

    def forward(self, logits):
        self.modes.add(self.training)
        return logits * self.weight


def batches(logits, labels, size=4):
    return list(zip(logits.split(size), labels.split(size), strict=True))


def test_figures_by_hand():
    #               right       called 1    right       called 2    right
    logits = torch.eye(3)[[0, 1, 1, 2, 2]] * 5
    labels = torch.tensor([0, 0, 1, 1, 2])
    scores = evaluate(Fixed(), batches(logits, labels, 2), 3)
    assert scores.images == 5 and scores.top1 == pytest.approx(3 / 5)
    assert scores.confusion.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert scores.per_class().tolist() == [0.5, 0.5, 1.0]


@pytest.mark.parametrize("classes", [6, 10])
def test_top5(classes):
    draw = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(50, classes, generator=draw), torch.randint(classes, (50,), generator=draw)
    scores = evaluate(Fixed(), batches(logits, labels), classes)
    order = logits.argsort(dim=1, descending=True)
    assert scores.top1 == pytest.approx(float((order[:, 0] == labels).float().mean()))
    assert scores.top5 == pytest.approx(float((order[:, :5] == labels[:, None]).any(dim=1).float().mean()))
    assert scores.top1 < scores.top5 < 1


@pytest.mark.parametrize("classes", [2, 5])
def test_top5_of_five_classes_says_nothing(classes):
    assert evaluate(Fixed(), batches(torch.eye(classes), torch.arange(classes)), classes).top5 is None


def test_a_class_without_an_image_has_no_accuracy():
    scores = evaluate(Fixed(), batches(torch.eye(3)[:2], torch.tensor([0, 1])), 3)
    assert scores.per_class()[:2].tolist() == [1, 1] and scores.per_class()[2].isnan()


def test_it_runs_in_eval_mode_without_gradients_and_tells_of_each_batch():
    network, seen = Fixed(), []
    evaluate(network, batches(torch.eye(3), torch.arange(3), 2), 3, after_batch=lambda: seen.append(len(seen)))
    assert network.modes == {False} and seen == [0, 1] and network.weight.grad is None
