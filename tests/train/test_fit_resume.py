"""A training that was stopped and continued ends with the very weights of one that was not."""

import os
import signal

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from metrics_table import without_speed
from torch import nn

from wholeframe.data.image_folder import open_folder
from wholeframe.train.fit import fit
from wholeframe.train.inputs.images import Images, folder_splits
from wholeframe.train.recipe import Recipe, Schedule
from wholeframe.train.run import Run, read_checkpoint

EPOCHS = 4


class Power(Exception):
    """It went out."""


class CutDuring(Callback):
    """Stops the training in the middle of the third epoch, or while that epoch is tested."""

    def __init__(self, phase):
        self.phase = phase

    def on_train_batch_start(self, trainer, _task, _batch, index):
        if (self.phase, trainer.current_epoch, index) == ("training", 2, 3):
            raise Power

    def on_validation_batch_start(self, trainer, *_args):
        if (self.phase, trainer.current_epoch) == ("testing", 2):
            raise Power


class Signal(Callback):
    """Sends this process a signal in the middle of an epoch, as a scheduler does."""

    def __init__(self, epoch, index, number):
        self.at, self.number = (epoch, index), number

    def on_train_batch_start(self, trainer, _task, _batch, index):
        if (trainer.current_epoch, index) == self.at:
            os.kill(os.getpid(), self.number)


def network():
    """Small, with dropout and running statistics."""
    torch.manual_seed(0)
    stem = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.3)]
    return nn.Sequential(*stem, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(32, 2))


@pytest.fixture
def train(tmp_path, make_photos):
    """`train(run_name, workers, ...)`: train on augmented photographs, give the weights and the run."""
    folder = open_folder(make_photos(tmp_path / "photos", side=12))

    def train(name, workers, *, resume=False, callbacks=()):
        recipe = Recipe(data=Images(size=8, batch=4, flip=True, workers=workers), schedule=Schedule(EPOCHS, lr=0.01))
        run = Run(tmp_path / name)
        model = network()
        torch.manual_seed(11 if resume else 12)  # the global random state has no part in it
        fit(recipe, model, folder_splits(folder, recipe.data, seed=0), run, resume=resume, callbacks=callbacks)
        return model.state_dict(), run

    return train


def differing(first, second):
    assert first.keys() == second.keys()
    return [key for key in first if not torch.equal(first[key], second[key])]


@pytest.mark.parametrize(
    ("workers", "phase"), [(0, "training"), (0, "testing"), pytest.param(1, "training", marks=pytest.mark.slow)]
)
def test_exactly_the_same_weights(train, workers, phase):
    whole, whole_run = train("whole", workers)
    with pytest.raises(Power):
        train("cut", workers, callbacks=[CutDuring(phase)])
    assert Run(whole_run.folder.parent / "cut").epochs() == 2, "two full epochs were there to go on from"

    resumed, run = train("cut", workers, resume=True)
    assert differing(whole, resumed) == []
    for file in ("last", "best"):
        states = [torch.load(getattr(r, file), weights_only=True)["state_dict"] for r in (whole_run, run)]
        assert differing(*states) == [], file
    # Nothing that was logged before is lost, and nothing is there twice.
    assert without_speed(run.metrics) == without_speed(whole_run.metrics)


@pytest.mark.parametrize(
    ("workers", "epoch", "index", "number"),
    [
        (0, 2, 1, signal.SIGTERM),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [(0, 0, 0, signal.SIGTERM), (1, 1, 2, signal.SIGTERM), (0, 3, 3, signal.SIGINT)]
        ),
    ],
)
def test_a_signal_saves_within_the_epoch(train, workers, epoch, index, number):
    whole, whole_run = train("whole", workers)
    with pytest.raises(SystemExit if number == signal.SIGTERM else KeyboardInterrupt) as end:
        train("cut", workers, callbacks=[Signal(epoch, index, number)])
    assert number == signal.SIGINT or end.value.code == 143
    run = Run(whole_run.folder.parent / "cut")
    steps = read_checkpoint(whole_run.last)["global_step"] // EPOCHS
    assert read_checkpoint(run.last)["global_step"] == epoch * steps + index + 1, "the step was finished, and no more"
    assert run.epochs() == epoch

    resumed, _ = train("cut", workers, resume=True)
    assert differing(whole, resumed) == []
    assert differing(*(read_checkpoint(r.best)["state_dict"] for r in (whole_run, run))) == []
    assert without_speed(run.metrics) == without_speed(whole_run.metrics)


@pytest.mark.slow
def test_a_run_that_is_stopped_again_and_again(train):
    whole, whole_run = train("whole", 0)
    for epoch, index in ((0, 1), (0, 3), (2, 0)):
        with pytest.raises(SystemExit):
            train("cut", 0, resume=(epoch, index) != (0, 1), callbacks=[Signal(epoch, index, signal.SIGTERM)])
    resumed, run = train("cut", 0, resume=True)
    assert differing(whole, resumed) == [] and without_speed(run.metrics) == without_speed(whole_run.metrics)


@pytest.mark.slow
def test_how_many_workers_does_not_matter(train):
    assert differing(train("none", 0)[0], train("one", 1)[0]) == []


def test_a_run_that_has_all_its_epochs_stays_as_it_is(train):
    whole, run = train("whole", 0)
    logged = run.metrics.read_text()
    again, _ = train("whole", 0, resume=True)
    assert differing(whole, again) == [] and run.metrics.read_text() == logged


def test_a_damaged_checkpoint_is_refused_before_anything_is_touched(train):
    _, run = train("whole", 0)
    logged = run.metrics.read_text()
    run.last.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="is not a checkpoint, or is damaged"):
        train("whole", 0, resume=True)
    assert run.metrics.read_text() == logged


def test_without_resume_the_log_starts_anew(train):
    _, run = train("whole", 0)
    first = without_speed(run.metrics)
    train("whole", 0)
    assert without_speed(run.metrics) == first
