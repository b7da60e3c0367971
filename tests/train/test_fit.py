"""Training: what it learns, what it writes, and that nothing half-written is left."""

import csv
import dataclasses
import errno
import math
import os
import signal
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import nn
from torch.utils.data import TensorDataset

from wholeframe.data.video.sampling import Sampling
from wholeframe.models.build import ModelConfig
from wholeframe.train import fit as fitting
from wholeframe.train.checkpoints import WholeFiles
from wholeframe.train.fit import Reseed, fit, network_for
from wholeframe.train.inputs.clips import Clips
from wholeframe.train.inputs.images import Images
from wholeframe.train.loaders import Splits, epoch_seed, marker_splits
from wholeframe.train.recipe import SGD, AdamW, Cosine, Recipe, Schedule
from wholeframe.train.run import Run, load_run, read_checkpoint
from wholeframe.train.tasks.classification import Classification

DATA = Images(size=8, batch=16, workers=0)
RECIPE = Recipe(
    ModelConfig(backbone="small", block="gc", options={"ratio": 0.25}), DATA, Schedule(epochs=3, lr=0.01, clip=1.0)
)
IMAGE = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def splits():
    """Two classes of 8 x 8 images that differ in brightness."""
    draw = torch.Generator().manual_seed(0)

    def images(count):
        labels = torch.arange(count) % 2
        return TensorDataset(torch.randn(count, 3, 8, 8, generator=draw) + labels.view(-1, 1, 1, 1), labels)

    return Splits(images(64), images(32), ("dark", "bright"), DATA, seed=0)


@pytest.mark.slow
def test_a_run_is_written_and_comes_back(tmp_path, splits):
    run = Run(tmp_path / "run")
    run.write(RECIPE, splits.classes, "none")
    network = network_for(RECIPE, 2)
    trainer = fit(RECIPE, network, splits, run)

    names = {file.name for file in run.folder.iterdir()}
    assert {"recipe.json", "environment.json", "metrics.csv", "last.ckpt", "best.ckpt"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not [name for name in names if "version" in name or name.endswith(".part")]
    assert run.recipe() == RECIPE and run.epochs() == 3
    assert torch.equal(run.network()(IMAGE), network.eval()(IMAGE))
    assert fitting.final_score(trainer, RECIPE) > 0.9, "brightness is easy"


@pytest.mark.slow
def test_a_run_that_was_not_written_yet_is_written(tmp_path, splits):
    run = Run(tmp_path / "run")
    fit(RECIPE, network := network_for(RECIPE, 2), splits, run)
    assert run.recipe() == RECIPE and run.classes() == splits.classes
    assert torch.equal(load_run(run.folder)(IMAGE), network.eval()(IMAGE))


def test_metrics_by_epoch(tmp_path, splits):
    run = Run(tmp_path / "run")
    trainer = fit(RECIPE, network_for(RECIPE, 2), splits, run)
    with run.metrics.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    tested = [row for row in rows if row["val/accuracy"]]
    assert [(row["epoch"], row["step"]) for row in tested] == [("0", "3"), ("1", "7"), ("2", "11")]
    assert float(tested[-1]["val/accuracy"]) == pytest.approx(fitting.final_score(trainer, RECIPE))
    # Four steps an epoch are fewer than the usual ten between two rows.
    assert [row["epoch"] for row in rows if row["train/loss"]] == ["0", "1", "2"]


class Wreck(Callback):
    """Undoes all learning before the last epoch is tested."""

    def on_validation_start(self, trainer, task):
        if trainer.current_epoch == 2:
            for parameter in task.parameters():
                nn.init.zeros_(parameter)


@pytest.mark.slow
def test_best_is_the_best_epoch_and_last_the_last(tmp_path, splits):
    run = Run(tmp_path / "run")
    run.write(RECIPE, splits.classes, "none")
    fit(RECIPE, network_for(RECIPE, 2), splits, run, callbacks=[Wreck()])
    images, labels = splits.val.tensors
    accuracy = {name: (run.network(name)(images).argmax(dim=1) == labels).float().mean() for name in ("best", "last")}
    assert accuracy["last"] == 0.5 and accuracy["best"] > 0.9
    assert read_checkpoint(run.best)["epoch"] < read_checkpoint(run.last)["epoch"] == 2


class Stop(Callback):
    """What Ctrl-C does."""

    def on_train_batch_start(self, trainer, _task, _batch, index):
        if (trainer.current_epoch, index) == (1, 2):
            raise KeyboardInterrupt


def test_stopped_by_hand(tmp_path, splits):
    run, handler = Run(tmp_path / "run"), signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(RECIPE, network_for(RECIPE, 2), splits, run, callbacks=[Stop()])
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning lets nobody interrupt the interruption
    assert run.epochs() == 1, "the epoch before is there to go on from"


@pytest.mark.filterwarnings("ignore:The default weight initialization of GoogleNet:FutureWarning")
def test_a_network_of_several_outputs_is_refused():
    recipe = dataclasses.replace(
        RECIPE, model=ModelConfig(backbone="torchvision/googlenet", block=None), data=Images(size=64)
    )
    with pytest.raises(ValueError, match="'torchvision/googlenet' gives auxiliary logits while training"):
        network_for(recipe, 2)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("optimizer", [SGD(), SGD(nesterov=False), AdamW(betas=(0.5, 0.9))], ids=str)
def test_optimisers_of_a_recipe(splits, optimizer):
    recipe = dataclasses.replace(RECIPE, schedule=Schedule(epochs=2, lr=0.01, optimizer=optimizer, rate=Cosine()))
    trainer = fit(recipe, network_for(recipe, 2), splits)
    used = trainer.optimizers[0]
    assert type(used).__name__ == type(optimizer).__name__
    assert all(used.defaults[name] == value for name, value in dataclasses.asdict(optimizer).items())
    assert used.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12), "the cosine has come to its end"


def test_several_labels_per_image(tmp_path):
    """Bright and wide are independent: the score is the mean average precision over both."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (64, 2), generator=draw).float()
    images = torch.randn(64, 3, 8, 8, generator=draw) + 2 * (labels[:, :1, None, None] - labels[:, 1:, None, None])
    images[:, 1] += 2 * labels[:, 1, None, None]
    samples, recipe = TensorDataset(images, labels), dataclasses.replace(RECIPE, task=Classification(labels="many"))
    run = Run(tmp_path / "run")
    trainer = fit(recipe, network_for(recipe, 2), Splits(samples, samples, ("bright", "wide"), DATA, seed=0), run)
    assert fitting.final_score(trainer, recipe) > 0.9
    assert "val/mAP" in run.metrics.read_text().splitlines()[0] and run.best.exists()


def test_without_a_run_nothing_is_written(tmp_path, splits, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit(RECIPE, network_for(RECIPE, 2), splits)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(splits):
    def weights(seed):
        recipe = dataclasses.replace(RECIPE, seed=seed)
        network = network_for(recipe, 2)
        torch.rand(1)  # the global random state has no part in it
        fit(recipe, network, splits)
        return nn.utils.parameters_to_vector(network.parameters())

    assert torch.equal(weights(0), weights(0)) and not torch.equal(weights(0), weights(1))


@pytest.mark.slow
def test_untrained_networks_depend_on_the_seed_alone():
    def weights(seed):
        return nn.utils.parameters_to_vector(network_for(dataclasses.replace(RECIPE, seed=seed), 2).parameters())

    state = torch.get_rng_state()
    assert torch.equal(weights(0), weights(0)) and not torch.equal(weights(0), weights(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_labels_at_every_position():
    """Only the positions that ask count: with all others right or wrong, the accuracy is that of the markers."""
    data = Images(size=32, batch=8, workers=0)
    recipe = Recipe(ModelConfig(backbone="small_dense", block=None), data, Schedule(epochs=1))
    splits = marker_splits("gist", data, 0, steps=4, test=16)
    trainer = fit(recipe, network := network_for(recipe, 2), splits)
    images, labels = splits.val.tensors
    network.eval()
    answers = network(images).argmax(dim=1)
    expected = (answers == labels)[labels >= 0].float().mean()
    assert fitting.final_score(trainer, RECIPE) == pytest.approx(float(expected))


@pytest.mark.slow
def test_half_precision_is_finite(splits):
    recipe = dataclasses.replace(RECIPE, precision="bf16-mixed", model=ModelConfig(backbone="small", block="nl"))
    trainer = fit(recipe, network := network_for(recipe, 2), splits)
    assert all(parameter.isfinite().all() and parameter.dtype == torch.float32 for parameter in network.parameters())
    assert math.isfinite(trainer.callback_metrics["val/loss"]) and fitting.final_score(trainer, RECIPE) > 0.9


def test_a_schedule_without_an_epoch_is_refused():
    with pytest.raises(ValueError, match="epochs must be at least 1, got 0"):
        Schedule(epochs=0)


def test_reseed_makes_random_numbers_a_function_of_seed_and_epoch():
    def drawn(seed, epoch):
        Reseed(seed).on_train_epoch_start(SimpleNamespace(current_epoch=epoch, global_rank=0), None)
        return float(torch.rand(()))

    assert drawn(0, 1) == drawn(0, 1)
    assert len({drawn(0, 1), drawn(0, 2), drawn(1, 1)}) == 3
    torch.manual_seed(epoch_seed(0, 1))
    assert float(torch.rand(())) == drawn(0, 1)


def test_a_save_that_fails_midway_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "last.ckpt"
    WholeFiles().save_checkpoint({"state_dict": {"a": torch.ones(2)}, "epoch": 0, "global_step": 4}, file)

    def fail(self, checkpoint, path, storage_options=None):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(TorchCheckpointIO, "save_checkpoint", fail)
    with pytest.raises(OSError, match="no space"):
        WholeFiles().save_checkpoint({"state_dict": {"a": torch.zeros(2)}}, file)
    assert torch.equal(read_checkpoint(file)["state_dict"]["a"], torch.ones(2))


def test_checkpoints_of_a_training_are_saved_that_way(tmp_path, splits, monkeypatch):
    saved = []
    save = TorchCheckpointIO.save_checkpoint

    def watch(self, checkpoint, path, storage_options=None):
        saved.append(path.name)
        save(self, checkpoint, path, storage_options)

    monkeypatch.setattr(TorchCheckpointIO, "save_checkpoint", watch)
    fit(RECIPE, network_for(RECIPE, 2), splits, Run(tmp_path / "run"))
    assert set(saved) == {"last.ckpt.part", "best.ckpt.part"}


@pytest.mark.slow
def test_a_clip_network_of_torchvision_with_a_block():
    recipe = Recipe(
        model=ModelConfig(backbone="torchvision/r3d_18", block="gc", at=("layer3.1",)),
        data=Clips(sampling=Sampling(frames=4, stride=1), size=32),
    )
    network = network_for(recipe, 3)
    assert network(torch.randn(2, 3, 4, 32, 32)).shape == (2, 3)
    with pytest.raises(ValueError, match="for images of 3 x 32 x 32, and 'torchvision/r3d_18' does not run on them"):
        network_for(Recipe(model=ModelConfig(backbone="torchvision/r3d_18", block=None), data=Images(size=32)), 3)


class Deadly(TensorDataset):
    """Kills the process that reads a sample, if that is not the training itself."""

    def __getitem__(self, index):
        if torch.utils.data.get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


def test_a_loader_process_that_is_killed(splits):
    splits.train, splits.data = Deadly(*splits.train.tensors), dataclasses.replace(DATA, workers=1)
    with pytest.raises(ValueError, match=r"a process that reads samples was killed \(DataLoader worker .*--workers 0"):
        fit(RECIPE, network_for(RECIPE, 2), splits)


def test_a_disk_that_fills_up_while_the_table_is_written(tmp_path, splits, monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("csv.DictWriter.writerows", full)
    with pytest.raises(OSError, match=r"metrics\.csv' cannot be written \(no space left on device\).*free some space"):
        fit(RECIPE, network_for(RECIPE, 2), splits, Run(tmp_path / "run"))
