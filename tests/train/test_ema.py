"""The moving average of the weights: by hand, evaluated, saved and resumed."""

import dataclasses

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import TensorDataset

from wholeframe.models.build import ModelConfig
from wholeframe.train.checkpoints import read_checkpoint
from wholeframe.train.ema import weight_average
from wholeframe.train.fit import fit, network_for
from wholeframe.train.inputs.images import Images
from wholeframe.train.loaders import Splits
from wholeframe.train.recipe import Mixing, Recipe, Schedule
from wholeframe.train.run import Run
from wholeframe.train.tasks.classification import Classification

DATA = Images(size=8, batch=4, workers=0)
RECIPE = Recipe(
    ModelConfig(backbone="small", block="gc", options={"ratio": 0.25}),
    DATA,
    Schedule(epochs=3, lr=0.01, ema=0.5, layer_lr=0.8),
    Classification(class_weights="balanced", label_smoothing=0.1),
    mixing=Mixing(mixup=0.2, cutmix=1.0),
)


def splits():
    draw = torch.Generator().manual_seed(0)
    labels = (torch.arange(18) % 3 == 0).long()
    samples = TensorDataset(torch.randn(18, 3, 8, 8, generator=draw) + labels.view(-1, 1, 1, 1), labels)
    return Splits(samples, samples, ("many", "few"), DATA, seed=0)


class Watch(Callback):
    """The weights after every step."""

    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, task, *_args):
        self.seen.append({name: value.clone() for name, value in task.network.state_dict().items()})


@pytest.mark.slow
def test_it_is_the_average_by_hand(tmp_path):
    watch = Watch()
    recipe = dataclasses.replace(RECIPE, schedule=Schedule(epochs=1, lr=0.01, ema=0.5))
    network = network_for(recipe, 2)
    fit(recipe, network, splits(), run := Run(tmp_path / "run"), callbacks=[watch])
    average, *later = watch.seen
    for count, weights in enumerate(later, start=1):
        decay = min(0.5, (1 + count) / (10 + count))
        for name, value in weights.items():
            average[name] = decay * average[name] + (1 - decay) * value if value.is_floating_point() else value
    for state in (network.state_dict(), run.network().state_dict()):
        for name, value in state.items():
            torch.testing.assert_close(value, average[name], msg=name)
    current = read_checkpoint(run.last)["current_model_state"]
    assert torch.equal(current["network.stage1.0.weight"], later[-1]["stage1.0.weight"])


class Power(BaseException):
    """The power fails."""


class Cut(Callback):
    def on_train_batch_start(self, trainer, _task, _batch, index):
        if (trainer.current_epoch, index) == (1, 2):
            raise Power


@pytest.mark.slow
def test_all_options_together_resume_to_the_bit(tmp_path):
    def trained(name, resume=False, callbacks=()):
        run = Run(tmp_path / name)
        fit(RECIPE, network_for(RECIPE, 2), splits(), run, resume=resume, callbacks=callbacks)
        return run

    whole = trained("whole")
    with pytest.raises(Power):
        trained("cut", callbacks=[Cut()])
    cut = trained("cut", resume=True)
    assert cut.recipe() == RECIPE
    for entry in ("state_dict", "current_model_state"):
        states = [read_checkpoint(run.last)[entry] for run in (whole, cut)]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0]), entry


def test_none_by_default_and_values_that_cannot_be():
    assert weight_average(Recipe()) == []
    for value in (0, 1, -0.5, float("nan")):
        with pytest.raises(ValueError, match="ema must lie between 0 and 1"):
            Schedule(ema=value)
