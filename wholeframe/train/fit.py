"""Train a recipe on data, into a run folder, or continue a run that was stopped."""

import contextlib
import logging
import re
import signal
import warnings
from collections.abc import Iterator, Sequence

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode

from wholeframe.models.build import build
from wholeframe.surgery.norms import sync_batchnorm
from wholeframe.surgery.probe import evaluating
from wholeframe.surgery.verify import refuse_lost
from wholeframe.train.attached import AttachedBlocks
from wholeframe.train.checkpoints import WholeFiles, read_resumable
from wholeframe.train.devices import Devices, is_first
from wholeframe.train.ema import weight_average
from wholeframe.train.finite import Finite
from wholeframe.train.loaders import Splits, epoch_seed, refuse_workers
from wholeframe.train.lock import locked
from wholeframe.train.loggers import LoggerName, loggers
from wholeframe.train.longer import NewSchedule
from wholeframe.train.metrics_log import MetricsRecord, Row, logged, start_with
from wholeframe.train.module import TrainingModule
from wholeframe.train.peers import watched
from wholeframe.train.recipe import Recipe
from wholeframe.train.run import Run
from wholeframe.train.stopping import Stopping
from wholeframe.train.whole_files import FULL, unwritten

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
    example = data.example()
    if not isinstance(example, torch.Tensor):  # A detector needs values, which fake tensors do not have.
        return
    shape = tuple(example.shape)
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
    logger: LoggerName = "tensorboard",
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
        resume: continue `run` after its last checkpoint, with the optimizer, the schedule and the order of samples that
            the stopped run would have had, so that the final weights are the same.
        devices: number and kind of devices.
        logger: what logs next to metrics.csv; "csv" for nothing else.
        callbacks: further callbacks of Lightning.

    Returns:
        Lightning's trainer, with the last metrics in `callback_metrics`.

    Raises:
        ValueError: the devices cannot train this recipe, there is no whole checkpoint to resume from, another process
            writes to the run, or a tool has dropped an inserted block, see `wf.verify`.
        OSError: the disk is full, or another process of the training is dead; the last checkpoint is whole.
        KeyboardInterrupt: Ctrl-C ended the training after a step, with a checkpoint; a second one ends it at once.
        SystemExit: SIGTERM ended the training in the same way; the status is 143.
    """
    quiet()
    devices.refuse(recipe, len(splits.val))
    refuse_workers(splits.data.workers)
    refuse_lost(network)
    if devices.sync_bn:
        sync_batchnorm(network)
    with locked(run.folder) if run else contextlib.nullcontext():
        return _fit(recipe, network, splits, run, resume, devices, logger, callbacks)


def _fit(
    recipe: Recipe,
    network: nn.Module,
    splits: Splits,
    run: Run | None,
    resume: bool,
    devices: Devices,
    logger: LoggerName,
    callbacks: Sequence[Callback],
) -> L.Trainer:
    checkpoint = read_resumable(run.last, network) if resume and run is not None else None
    rows = logged(checkpoint, run.metrics) if checkpoint and run else []
    done = checkpoint["global_step"] if checkpoint else 0
    del checkpoint  # The optimizer's state is as large as the network, and Lightning reads its own copy.
    if run is not None and not run.recipe_file.is_file() and is_first():
        run.write(recipe, splits.classes, None)
    stopping = Stopping(run.last if run else None)
    module = TrainingModule(network, splits, recipe)
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
        logger=_loggers(run, logger, done, rows) if run else False,
        plugins=[WholeFiles()] if run else None,
        callbacks=[
            AttachedBlocks(),
            Reseed(recipe.seed),
            Finite(run and run.last),
            *weight_average(recipe),
            stopping,
            NewSchedule(),
            *_checkpoints(run, recipe),
            *callbacks,
        ],
    )
    try:
        with watched(trainer), _in_sentences(run):
            trainer.fit(module, datamodule=splits, ckpt_path=run.last if run and done else None, weights_only=True)
    except SIGTERMException as end:
        if stopping.received == signal.SIGINT:
            raise KeyboardInterrupt from end
        raise SystemExit(128 + signal.SIGTERM) from end
    except SystemExit as end:  # Lightning turns Ctrl-C within a step into SystemExit.
        raise KeyboardInterrupt from end
    refuse_lost(network)
    return trainer


@contextlib.contextmanager
def _in_sentences(run: Run | None) -> Iterator[None]:
    """Errors of a full disk, and of a loader process that was killed, as sentences."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and run is not None:  # The table or the events of TensorBoard
            raise unwritten(run.metrics, error) from error
        raise
    except RuntimeError as error:
        if found := re.search(r"DataLoader worker \(pid\(?s?\)? .*", str(error)):
            raise ValueError(
                f"a process that reads samples was killed ({found[0]}); memory may be short: give --workers 0, or a "
                "smaller --batch; --resume continues after the last checkpoint"
            ) from error
        raise


def final_score(trainer: L.Trainer, recipe: Recipe) -> float:
    """The score on the validation split after the last epoch: accuracy, or mean average precision."""
    return float(trainer.callback_metrics[f"val/{recipe.task.score}"])


class Reseed(Callback):
    """Seeds dropout by (seed, epoch) alone, as the loaders do; every device has its own random numbers."""

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        torch.manual_seed(epoch_seed(self.seed, trainer.current_epoch) + (trainer.global_rank << 40))


def _checkpoints(run: Run | None, recipe: Recipe) -> list[Callback]:
    if run is None:
        return []
    every = {"dirpath": run.folder, "save_top_k": 1, "enable_version_counter": False}
    return [
        MetricsRecord(run.metrics),
        ModelCheckpoint(filename="best", monitor=f"val/{recipe.task.score}", mode="max", **every),
        ModelCheckpoint(filename="last", save_on_train_epoch_end=True, **every),
    ]


def _loggers(run: Run, logger: LoggerName, done: int, rows: list[Row]) -> list[Logger]:
    if run.metrics.exists() and not run.metrics.is_file():
        raise ValueError(f"'{run.metrics}' is not a file, and the table is written there; move it away")
    table, every = loggers(logger, run.folder, done)
    if is_first():  # The logger of another process writes nothing.
        start_with(table, rows)
    return every


def quiet() -> None:
    """Silence Lightning's notes on hardware and its tips: they hide our own output."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
    # `Splits` continues within an epoch, and Lightning looks for that in the loader alone.
    warnings.filterwarnings("ignore", message=".*dataloader is not resumable.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
