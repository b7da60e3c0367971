"""A training that diverges stops in one sentence, and nothing that is not finite is saved or loaded."""

import dataclasses

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.utils.data import TensorDataset

from wholeframe.models.build import ModelConfig
from wholeframe.train.checkpoints import read_checkpoint
from wholeframe.train.finite import Finite, batch_names, not_finite, refuse_not_finite
from wholeframe.train.fit import fit, network_for
from wholeframe.train.inputs.images import Images
from wholeframe.train.loaders import Splits
from wholeframe.train.recipe import Recipe, Schedule
from wholeframe.train.run import Run, load_run

DATA = Images(size=8, batch=4, workers=0)
RECIPE = Recipe(ModelConfig(backbone="small", block=None), DATA, Schedule(epochs=2, lr=0.01))
NAN = float("nan")


class Named(TensorDataset):
    """Images with names."""

    def name(self, index):
        return f"'image {index}.png'"


def splits(broken=None, value=NAN):
    images, labels = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 2
    if broken is not None:
        images[broken, 0, 0, 0] = value
    return Splits(Named(images, labels), Named(images[:4], labels[:4]), ("a", "b"), DATA, seed=0)


class Spoil(Callback):
    """Spoils a tensor of the network after a step."""

    def __init__(self, step, name, value=NAN):
        self.step, self.name, self.value = step, name, value

    def on_train_batch_end(self, trainer, task, *_args):
        if trainer.global_step == self.step:
            with torch.no_grad():
                task.network.state_dict()[self.name].flatten()[0] = self.value


def stopped(tmp_path, *callbacks, data=None, **schedule):
    run = Run(tmp_path / "run")
    recipe = dataclasses.replace(RECIPE, schedule=dataclasses.replace(RECIPE.schedule, **schedule))
    with pytest.raises(ValueError) as told:
        fit(recipe, network_for(recipe, 2), data or splits(), run, callbacks=callbacks)
    return run, str(told.value)


def test_a_learning_rate_that_is_too_high(tmp_path):
    run, told = stopped(tmp_path, lr=1e38)
    assert "the loss is nan in step 1 (epoch 0, batch 1) at the learning rate" in told
    assert told.count(".png'") == 4
    assert "no checkpoint was saved before; train with a lower --lr or with --clip 1" in told
    assert not run.last.exists() and not run.best.exists()


@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_a_sample_that_is_not_finite_is_named(tmp_path, value):
    _, told = stopped(tmp_path, data=splits(broken=5, value=value))
    assert "the loss is nan" in told and "the values of 'image 5.png' are not finite themselves" in told


def test_the_last_good_checkpoint_is_named_and_stays(tmp_path):
    first = "stage1.0.weight"
    run, told = stopped(tmp_path, Spoil(5, first))
    assert "; the step before left weights that are not finite (network.stage1.0.weight); " in told
    assert "in step 5 (epoch 1, batch 1)" in told and f"the last good checkpoint is '{run.last}'" in told
    assert read_checkpoint(run.last)["epoch"] == 0 and not list(not_finite(load_run(run.folder).state_dict()))


def test_weights_that_no_loss_shows_are_not_saved(tmp_path):
    run, told = stopped(tmp_path, Spoil(4, "stage1.0.weight"))
    assert "the validation loss is nan after epoch 0" in told
    run, told = stopped(tmp_path / "b", Late())
    assert "these values are not finite, and are not saved: network.stage1.0.weight;" in told
    assert read_checkpoint(run.last)["epoch"] == 0


class Late(Callback):
    """Spoils a weight after the validation of the second epoch."""

    def on_train_epoch_end(self, trainer, task):
        if trainer.current_epoch == 1:
            nn.init.constant_(task.network.stage1[0].weight, NAN)


def test_an_accelerator_is_looked_at_when_lightning_logs(tmp_path, monkeypatch):
    """Its losses are noted on the device; the first of them is named later, or before a validation."""
    looks = []
    look = Finite._look

    class Accelerator(Finite):
        def on_train_start(self, trainer, task):
            super().on_train_start(trainer, task)
            self.every = 3

        def _look(self, trainer, task):
            looks.append(trainer.global_step)
            look(self, trainer, task)

    monkeypatch.setattr("wholeframe.train.fit.Finite", Accelerator)
    _, told = stopped(tmp_path, Spoil(1, "stage1.0.weight"))
    assert "in step 1 (epoch 0, batch 1)" in told and looks == [2]
    looks.clear()
    _, told = stopped(tmp_path / "b", Spoil(3, "stage1.0.weight"))
    assert "in step 3 (epoch 0, batch 3)" in told and looks == [2, 4], "the validation comes before the sixth step"


def test_single_overflows_in_fp16_are_skipped():
    finite = Finite()
    finite.first, finite.streak, finite.value = torch.tensor(-1), torch.tensor(0), torch.tensor(0.0)
    finite.limit, finite.every = 3, 7
    trainer = type("T", (), {"global_step": 0, "world_size": 1})()
    for loss in (NAN, NAN, 1.0, NAN, NAN):
        assert int(finite.first) == -1
        finite.on_before_backward(trainer, None, torch.tensor(loss))
    trainer.global_step = 5
    finite.on_before_backward(trainer, None, torch.tensor(NAN))
    assert int(finite.first) == 5


def test_names_of_a_batch_are_those_it_was_drawn_with():
    data = splits()
    loader = data.train_dataloader()
    drawn = [images for images, _ in loader]
    for number, images in enumerate(drawn):
        names = batch_names(loader, number)
        expected = [next(i for i in range(16) if torch.equal(data.train[i][0], image)) for image in images]
        assert names == [f"'image {index}.png'" for index in expected]


def test_what_counts_as_not_finite():
    given = {
        "good": torch.ones(2),
        "mask": torch.tensor([0.0, -float("inf")]),
        "count": torch.tensor(3),
        "list": [torch.tensor([1.0, NAN]), {"all": torch.full((2,), float("inf"))}],
        "scalar": torch.tensor(NAN),
    }
    assert list(not_finite(given)) == ["list.0", "list.1.all", "scalar"]


@pytest.mark.parametrize("entry", ["state_dict", "optimizer_states", "current_model_state"])
def test_a_checkpoint_with_nan_is_refused(entry):
    refuse_not_finite({entry: {"a": torch.zeros(1)}}, "'last.ckpt'")
    with pytest.raises(ValueError, match=r"^'last.ckpt' holds values that are not finite \(a\)"):
        refuse_not_finite({entry: {"a": torch.tensor([NAN])}}, "'last.ckpt'")


def test_a_run_with_nan_is_neither_loaded_nor_resumed(tmp_path):
    run = Run(tmp_path / "run")
    fit(dataclasses.replace(RECIPE, schedule=Schedule(epochs=1)), network_for(RECIPE, 2), splits(), run)
    content = torch.load(run.last, weights_only=True)
    next(iter(content["state_dict"].values())).fill_(NAN)
    torch.save(content, run.last)
    for use in (lambda: load_run(run.folder), lambda: fit(RECIPE, network_for(RECIPE, 2), splits(), run, resume=True)):
        with pytest.raises(ValueError, match="holds values that are not finite"):
            use()
