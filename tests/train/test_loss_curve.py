"""The thinned learning curve of a training."""

from types import SimpleNamespace

import torch
from pytest import approx

from wholeframe.train.loss_curve import POINTS, LossCurve, thinned


def test_few_values_stay_as_they_are():
    assert thinned([]) == [] and thinned([0.5, 0.25]) == [0.5, 0.25]


def test_spans_are_equal_and_cover_every_value():
    assert thinned(range(10), 5) == [0.5, 2.5, 4.5, 6.5, 8.5]
    assert thinned(range(7), 3) == [0.5, 2.5, 5.0], "the spans are of 2, 2 and 3 values"
    spans = thinned([1.0] * 1237)
    assert len(spans) == POINTS and spans == approx([1.0] * POINTS)


def test_the_callback_keeps_each_step_and_each_epoch():
    trainer = SimpleNamespace(callback_metrics={"val/accuracy": torch.tensor(0.25)})
    curve = LossCurve("val/accuracy")
    for loss in (2.0, 1.0):
        curve.on_train_batch_end(trainer, None, {"loss": torch.tensor(loss, requires_grad=True)}, None, 0)
    curve.on_validation_end(trainer, None)
    assert curve.losses() == [2.0, 1.0] and curve.scores == [0.25] and not curve.steps[0].requires_grad
