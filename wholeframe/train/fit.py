"""Train a recipe on data, into a run folder, or continue a run that was stopped."""

import csv
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode

from wholeframe.models.build import build
from wholeframe.surgery.norms import sync_batchnorm
from wholeframe.surgery.probe import evaluating
from wholeframe.surgery.verify import refuse_lost
from wholeframe.train import old_runs
from wholeframe.train.devices import Devices, is_first
from wholeframe.train.ema import weight_average
from wholeframe.train.finite import Finite
from wholeframe.train.loaders import Splits, epoch_seed
from wholeframe.train.module import TrainingModule
from wholeframe.train.recipe import Recipe
from wholeframe.train.run import Run, read_checkpoint

ONE_DEVICE = Devices()


def network_for(recipe: Recipe, num_classes: int) -> nn.Module:
    """The untrained network of a recipe, the same for the same seed.

    Args:
        recipe: model, data and seed.
        num_classes: width of the output.

    Raises:
        ValueError: the network cannot be built, or cannot be trained on the samples of the recipe.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        # The example is drawn before the weights, so its size is a part of what the seed determines.
        network = build(recipe.model, num_classes, recipe.data.example())
        refuse_network(recipe, network)
    return network


def refuse_network(recipe: Recipe, network: nn.Module) -> None:
    """ValueError for a network that cannot be trained on the samples of this recipe."""
    backbone, data = recipe.model.backbone, recipe.data
    if getattr(network, "aux_logits", False):  # torchvision's GoogLeNet and Inception v3
        raise ValueError(
            f"{backbone!r} gives auxiliary logits while training, and a training here has one loss for one output; "
            "take a backbone without them, such as torchvision/resnet50"
        )
    shape = tuple(data.example().shape)
    log = logging.getLogger("torch._subclasses.fake_tensor")
    try:
        log.disabled = True  # It would print the error that is raised below as a sentence.
        # Fake tensors have shapes and no values, so that nothing is computed.
        with evaluating(network), torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
            network(torch.empty(shape))
    except (NotImplementedError, DataDependentOutputException, DynamicOutputShapeException):
        return  # The network has an operation that needs values; it may still run.
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ValueError(
            f"the recipe is for {data.noun} of {' x '.join(map(str, shape[1:]))}, and {backbone!r} does not run "
            f"on them ({error}); change their size, or take a backbone for {data.noun}, such as {data.backbone}"
        ) from error
    finally:
        log.disabled = False


def fit(
    recipe: Recipe,
    network: nn.Module,
    splits: Splits,
    run: Run | None = None,
    *,
    resume: bool = False,
    devices: Devices = ONE_DEVICE,
    callbacks: Sequence[Callback] = (),
) -> L.Trainer:
    """Train `network` in place.

        splits = recipe.data.open(ImageLocation(Path("photos")), recipe.task, recipe.seed).splits()
        network = network_for(recipe, len(splits.classes))
        wf.fit(recipe, network, splits, Run(Path("runs/photos")))
        network = wf.load_run("runs/photos", "best")

    Every epoch is validated on `splits.val`: `val/loss`, and `val/accuracy` or `val/mAP`.

    Args:
        recipe: schedule, task, seed and precision.
        network: such as `network_for(recipe, num_classes)`.
        splits: training and validation samples, such as `folder_splits(...)` or `Inputs.splits()`.
        run: the folder for the recipe, logs and checkpoints; None writes nothing.
        resume: continue `run` after its last full epoch, with the optimizer, the schedule and the order of samples that
            the stopped run would have had, so that the final weights are the same.
        devices: number and kind of devices.
        callbacks: further callbacks of Lightning.

    Returns:
        Lightning's trainer, with the last metrics in `callback_metrics`.

    Raises:
        ValueError: the devices cannot train this recipe, there is no checkpoint to resume from, or a tool has dropped
            an inserted block, see `wf.verify`.
        KeyboardInterrupt: the training was interrupted.
    """
    quiet()
    devices.refuse(recipe, len(splits.val))
    refuse_lost(network)
    if devices.sync_bn:
        sync_batchnorm(network)
    done = read_checkpoint(run.last)["global_step"] if resume and run is not None else 0
    if run is not None and not run.recipe_file.is_file() and is_first():
        run.write(recipe, splits.classes, None)
    module = TrainingModule(network, len(splits.classes), recipe)
    trainer = L.Trainer(
        max_epochs=recipe.schedule.epochs,
        precision=recipe.precision,
        **devices.options(),
        gradient_clip_val=recipe.schedule.clip,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        log_every_n_steps=min(10, len(splits.train_dataloader())),
        enable_model_summary=False,
        enable_checkpointing=run is not None,
        enable_progress_bar=any(isinstance(callback, RichProgressBar) for callback in callbacks),
        logger=_loggers(run, done) if run else False,
        plugins=[WholeFiles()] if run else None,
        callbacks=[
            Reseed(recipe.seed),
            Finite(run and run.last),
            *weight_average(recipe),
            *(_checkpoints(run, recipe) if run else []),
            *callbacks,
        ],
    )
    try:
        trainer.fit(module, datamodule=splits, ckpt_path=run.last if run and done else None, weights_only=True)
    except SystemExit as end:  # Lightning turns Ctrl-C into SystemExit.
        raise KeyboardInterrupt from end
    refuse_lost(network)
    return trainer


def final_score(trainer: L.Trainer, recipe: Recipe) -> float:
    """The score on the validation split after the last epoch: accuracy, or mean average precision."""
    return float(trainer.callback_metrics[f"val/{recipe.task.score}"])


class Reseed(Callback):
    """Seeds dropout by (seed, epoch) alone, as the loaders do; every device has its own random numbers."""

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        torch.manual_seed(epoch_seed(self.seed, trainer.current_epoch) + (trainer.global_rank << 40))


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint completely or not at all; reads checkpoints of earlier versions and of moved runs."""

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        part = Path(path).with_suffix(".part")
        super().save_checkpoint(checkpoint, part, storage_options)
        part.replace(path)

    def load_checkpoint(self, path, map_location=None, weights_only=None) -> dict[str, Any]:
        content = super().load_checkpoint(path, map_location, weights_only)
        folder = Path(path).resolve().parent
        return {**content, "callbacks": old_runs.callback_states(content.get("callbacks", {}), folder)}


def _checkpoints(run: Run, recipe: Recipe) -> list[Callback]:
    every = {"dirpath": run.folder, "save_top_k": 1, "enable_version_counter": False}
    return [
        ModelCheckpoint(filename="best", monitor=f"val/{recipe.task.score}", mode="max", **every),
        ModelCheckpoint(filename="last", save_on_train_epoch_end=True, **every),
    ]


def _loggers(run: Run, done: int) -> list:
    # An empty version makes both write into the run folder itself, without `version_0` below it.
    where = {"save_dir": run.folder.parent, "name": run.folder.name, "version": ""}
    table = CSVLogger(**where)
    if done and run.metrics.is_file():
        # The logger starts an empty file, so it gets the rows that were logged up to the checkpoint.
        with run.metrics.open(newline="") as stream:
            logged = [row for row in csv.DictReader(stream) if int(row["step"]) < done]
        rows = [{old_runs.metric(name): value for name, value in row.items()} for row in logged]
        table.experiment.metrics.extend(rows)
        table.save()
    return [table, TensorBoardLogger(**where)]


def quiet() -> None:
    """Silence Lightning's notes on hardware and its tips: they hide our own output."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
