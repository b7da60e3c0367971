"""Train a recipe on data, into a run folder; continue one that was stopped."""

import csv
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

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
from wholeframe.train.devices import Machines
from wholeframe.train.loaders import Splits, epoch_seed
from wholeframe.train.recipe import Clips, Recipe
from wholeframe.train.run import Run, read_checkpoint
from wholeframe.train.tasks.classification import Classification
from wholeframe.train.tasks.objective import OBJECTIVES

ONE_DEVICE = Machines()


def network_for(recipe: Recipe, classes: int) -> nn.Module:
    """The untrained network of a recipe, the same for the same seed.

    ValueError if it cannot be trained on the samples of the recipe.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = build(recipe.model, classes, torch.randn(1, *recipe.data.shape))
    refuse_network(recipe, network)
    return network


def refuse_network(recipe: Recipe, network: nn.Module) -> None:
    """ValueError for a network that cannot be trained on the samples of this recipe."""
    clips = isinstance(recipe.data, Clips)
    if clips != any(isinstance(module, nn.Conv3d) for module in network.modules()):
        kind, other = ("clips", "c2d_r50") if clips else ("photographs", "torchvision/resnet50")
        raise ValueError(
            f"the recipe is for {kind}, and {recipe.model.backbone!r} takes none; take a backbone such as {other}"
        )
    if getattr(network, "aux_logits", False):  # torchvision's GoogLeNet and Inception v3
        raise ValueError(
            f"{recipe.model.backbone!r} gives auxiliary logits beside its own while training, and this training has one "
            "loss for one output; take a backbone without them, such as torchvision/resnet50"
        )
    shape = recipe.data.shape
    log = logging.getLogger("torch._subclasses.fake_tensor")
    try:
        log.disabled = True  # it would print what we say in a sentence
        # Tensors that have shapes and no values: nothing is computed.
        with evaluating(network), torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
            network(torch.empty(1, *shape))
    except (NotImplementedError, DataDependentOutputException, DynamicOutputShapeException):
        return  # an operation that needs values; it may still run
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ValueError(
            f"{recipe.model.backbone!r} does not run on a sample of {' x '.join(map(str, shape))}: {error}"
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
    machines: Machines = ONE_DEVICE,
    callbacks: Sequence[Callback] = (),
) -> L.Trainer:
    """Train `network` in place. With a `run`, its folder gets logs and checkpoints; without, nothing is written.

    `resume` continues from the last full epoch with the optimizer, the schedule, the epoch and the order of images
    that the stopped run would have had: the weights at the end are the same.

    KeyboardInterrupt if it is stopped by hand.
    """
    quiet()
    machines.refuse(recipe, len(splits.test))
    if machines.sync_bn:
        sync_batchnorm(network)
    done = read_checkpoint(run.last)["global_step"] if resume and run is not None else 0
    task = Classification(network, len(splits.classes), recipe)
    trainer = L.Trainer(
        max_epochs=recipe.schedule.epochs,
        precision=recipe.precision,
        **machines.options(),
        gradient_clip_val=recipe.schedule.clip,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        log_every_n_steps=min(10, len(splits.train_dataloader())),
        enable_model_summary=False,
        enable_checkpointing=run is not None,
        enable_progress_bar=any(isinstance(callback, RichProgressBar) for callback in callbacks),
        logger=_loggers(run, done) if run else False,
        plugins=[WholeFiles()] if run else None,
        callbacks=[Reseed(recipe.seed), *(_checkpoints(run, recipe) if run else []), *callbacks],
    )
    try:
        trainer.fit(task, datamodule=splits, ckpt_path=run.last if run and done else None, weights_only=True)
    except SystemExit as end:  # what Lightning makes of a Ctrl-C
        raise KeyboardInterrupt from end
    return trainer


def final_score(trainer: L.Trainer, recipe: Recipe) -> float:
    """What the network reached after the last epoch: accuracy, or mean average precision."""
    return float(trainer.callback_metrics[f"test/{OBJECTIVES[recipe.labels].score}"])


class Reseed(Callback):
    """Dropout depends on (seed, epoch) alone, as the loaders do; every device drops what it likes."""

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        torch.manual_seed(epoch_seed(self.seed, trainer.current_epoch) + (trainer.global_rank << 40))


class WholeFiles(TorchCheckpointIO):
    """A run that is killed while it saves keeps the checkpoint before."""

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        part = Path(path).with_suffix(".part")
        super().save_checkpoint(checkpoint, part, storage_options)
        part.replace(path)


def _checkpoints(run: Run, recipe: Recipe) -> list[Callback]:
    every = {"dirpath": run.folder, "save_top_k": 1, "enable_version_counter": False}
    return [
        ModelCheckpoint(filename="best", monitor=f"test/{OBJECTIVES[recipe.labels].score}", mode="max", **every),
        ModelCheckpoint(filename="last", save_on_train_epoch_end=True, **every),
    ]


def _loggers(run: Run, done: int) -> list:
    # Both write into the run folder itself: no `version_0` below it.
    where = {"save_dir": run.folder.parent, "name": run.folder.name, "version": ""}
    table = CSVLogger(**where)
    if done and run.metrics.is_file():
        # The logger begins an empty file: give it what was logged up to the checkpoint.
        with run.metrics.open(newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if int(row["step"]) < done]
        table.experiment.metrics.extend(rows)
        table.save()
    return [table, TensorBoardLogger(**where)]


def quiet() -> None:
    """Lightning's notes on hardware and tips are not for the person who reads our output."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
