"""The figures of an epoch: its loss, its score, learning rates and speed."""

import csv
import dataclasses

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.utils.data import TensorDataset

from wholeframe.models.build import ModelConfig
from wholeframe.train.fit import fit, network_for
from wholeframe.train.inputs.images import Images
from wholeframe.train.loaders import Splits
from wholeframe.train.module import TrainingModule
from wholeframe.train.recipe import Recipe, Schedule
from wholeframe.train.run import Run
from wholeframe.train.tasks.classification import Classification

DATA = Images(size=8, batch=4, workers=0)
RECIPE = Recipe(
    ModelConfig(backbone="small", block="gc", options={"ratio": 0.25}), DATA, Schedule(epochs=2, lr=0.01, block_lr=3.0)
)


def splits(labels):
    draw = torch.Generator().manual_seed(0)
    samples = TensorDataset(torch.randn(len(labels), 3, 8, 8, generator=draw), labels)
    return Splits(samples, samples, ("a", "b"), DATA, seed=0)


class Watch(Callback):
    """The losses and predictions of every step, before the step."""

    def __init__(self):
        self.losses, self.right = [], []

    def on_train_batch_end(self, trainer, task, outputs, batch, _index):
        self.losses.append(float(outputs["loss"]))

    def on_train_start(self, trainer, task):
        task.network.register_forward_hook(self.look)

    def look(self, module, _args, logits):
        if module.training:
            self.right.append(logits.detach().argmax(1))


def test_figures_of_epochs(tmp_path):
    labels = torch.arange(12) % 2
    watch, run, data = Watch(), Run(tmp_path / "run"), splits(labels)
    batches = []

    class Labels(Callback):
        def on_train_batch_start(self, trainer, task, batch, _index):
            batches.append(batch[1])

    fit(RECIPE, network_for(RECIPE, 2), data, run, callbacks=[watch, Labels()])
    with run.metrics.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    epochs = [row for row in rows if row["val/accuracy"]]
    assert len(epochs) == 2
    for number, row in enumerate(epochs):
        steps = slice(3 * number, 3 * number + 3)
        assert float(row["train/epoch_loss"]) == pytest.approx(sum(watch.losses[steps]) / 3, rel=1e-5)
        right = [(p == y).float().mean() for p, y in zip(watch.right[steps], batches[steps], strict=True)]
        assert float(row["train/accuracy"]) == pytest.approx(float(sum(right)) / 3)
        assert float(row["train/images_per_second"]) > 0
    rates = [row for row in rows if row["train/loss"]]
    assert all(float(row["lr/blocks"]) == pytest.approx(3 * float(row["lr/backbone"])) for row in rates)


def test_several_labels_have_a_mean_average_precision(tmp_path):
    recipe = dataclasses.replace(RECIPE, task=Classification("many"))
    labels = torch.randint(2, (8, 2), generator=torch.Generator().manual_seed(0)).float()
    trainer = fit(recipe, network_for(recipe, 2), splits(labels), Run(tmp_path / "run"))
    assert 0 < trainer.callback_metrics["train/mAP"] <= 1


def test_class_weights_reach_the_loss():
    recipe = dataclasses.replace(RECIPE, task=Classification(class_weights="balanced"))
    seen = []

    class Look(Callback):
        def on_train_batch_end(self, trainer, task, *_args):
            seen.append(task.class_weights)

    fit(recipe, network_for(recipe, 2), splits(torch.tensor([0, 0, 0, 0, 0, 0, 1, 1])), callbacks=[Look()])
    assert seen[0].tolist() == pytest.approx([8 / 12, 8 / 4])


def test_a_run_holds_the_weights_of_the_network_alone():
    network = network_for(RECIPE, 2)
    recipe = dataclasses.replace(RECIPE, task=Classification(class_weights="balanced"))
    module = TrainingModule(network, splits(torch.zeros(4)), recipe)
    assert module.state_dict().keys() == {f"network.{key}" for key in network.state_dict()}
    assert isinstance(module.network, nn.Module)
