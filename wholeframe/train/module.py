"""The training as Lightning runs it: a network, the task and the schedule of a recipe."""

import time
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn
from torchmetrics import Metric

from wholeframe.train.balance import balanced, training_labels
from wholeframe.train.finite import log_interval
from wholeframe.train.loaders import Splits
from wholeframe.train.mixing import Mix, whole
from wholeframe.train.optim import learning_rates, parameter_groups, roles, scheduler
from wholeframe.train.recipe import SGD, Recipe
from wholeframe.train.tasks.mean import Mean

FIGURES = "train_figures"
"""The entry of a checkpoint that holds the sums of an epoch so far, for a run that is resumed within it."""


class TrainingModule(L.LightningModule):
    """Logs losses, scores, learning rates and the speed of a training.

    Of single steps, `train/loss`, each of its terms if there are several, and `lr/backbone`, `lr/blocks`; of an epoch,
    `train/epoch_loss`, the score of the task on the training samples, such as `train/accuracy`, in training mode and
    before each step, `train/images_per_second` without the validation, and `val/loss` and `val/accuracy`. A detector
    has losses in training mode and detections in eval mode, so that it has no score in training and no loss in
    validation.
    """

    def __init__(self, network: nn.Module, splits: Splits, recipe: Recipe):
        super().__init__()
        self.network, self.task, self.schedule = network, recipe.task, recipe.schedule
        self.num_classes, self.noun = len(splits.classes), recipe.data.noun
        self.roles = roles(network)  # Taken now, because FSDP flattens every parameter to a vector later.
        self.mix = Mix(recipe.mixing, self.num_classes)
        self.class_weights: Tensor | None = None
        self.metric = self.task.metric(splits)
        self.train_metric = self.task.train_metric()
        self.train_loss = Mean()
        self.seconds, self.seen = 0.0, 0
        self.resumed: list[dict[str, Any]] | None = None

    def on_train_start(self) -> None:
        if self.task.class_weights is not None:
            labels = training_labels(self.trainer.datamodule.train)  # type: ignore[attr-defined]
            self.class_weights = balanced(labels, self.num_classes).to(self.device)
        if self.resumed and self.trainer.is_global_zero:  # The sums are those of all processes.
            for metric, state in zip(self._figures(), self.resumed, strict=True):
                for name, value in state.items():
                    setattr(metric, name, apply_to_collection(value, Tensor, Tensor.to, self.device))
        self.mark = time.perf_counter()

    def on_train_epoch_start(self) -> None:
        for metric in self._figures():
            metric.reset()
        self.seconds, self.seen = 0.0, 0
        self.mark = time.perf_counter()

    def training_step(self, batch: tuple[Any, Any], _index: int) -> Tensor:
        samples, labels = self.mix(*batch)
        losses, outputs = self.task.losses(self.network, samples, labels, self.class_weights)
        loss = torch.stack(list(losses.values())).sum()
        self.log("train/loss", loss, prog_bar=True, sync_dist=True)
        if len(losses) > 1:
            self.log_dict({f"train/{name}": term for name, term in losses.items()}, prog_bar=True, sync_dist=True)
        if (self.trainer.global_step + 1) % log_interval(self.trainer) == 0:
            rates = learning_rates(self.trainer.optimizers[0])
            self.log_dict({f"lr/{name}": rate for name, rate in rates.items()}, sync_dist=True)
        self.train_loss.update(loss.detach(), len(samples))
        if self.train_metric is not None and outputs is not None:
            self.train_metric.update(outputs.detach(), whole(batch[1], labels))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: tuple[Any, Any], batch_idx: int) -> None:
        now = time.perf_counter()
        self.seconds, self.mark = self.seconds + now - self.mark, now
        self.seen += len(batch[0]) * self.trainer.world_size

    def validation_step(self, batch: tuple[Any, Any], _index: int) -> None:
        validated = self.task.validate(self.network, *batch, self.metric)
        if validated is None:
            return
        loss, count = validated
        if loss is not None:
            self.log("val/loss", loss, sync_dist=True, batch_size=count)

    def on_validation_epoch_end(self) -> None:
        found = self.metric.compute()
        for name, figure in (found if isinstance(found, Mapping) else {self.task.score: found}).items():
            self.log(f"val/{name}", figure, prog_bar=name == self.task.score, sync_dist=True)
        self.metric.reset()
        # The figures of the training share the row of the validation, which is written before the checkpoint.
        self.log("train/epoch_loss", self.train_loss.compute(), sync_dist=True)
        if self.train_metric is not None:
            self.log(f"train/{self.task.score}", self.train_metric.compute(), sync_dist=True)
        self.log(f"train/{self.noun}_per_second", self.seen / max(self.seconds, 1e-9), sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[FIGURES] = []
        for metric in self._figures():
            with metric.sync_context():
                checkpoint[FIGURES].append(dict(metric.metric_state))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.resumed = checkpoint.get(FIGURES)

    def _figures(self) -> tuple[Metric, ...]:
        return (self.train_loss,) if self.train_metric is None else (self.train_loss, self.train_metric)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        schedule = self.schedule
        groups = parameter_groups(self.network, schedule, self.roles)
        if isinstance(schedule.optimizer, SGD):
            chosen = schedule.optimizer
            optimizer = torch.optim.SGD(groups, momentum=chosen.momentum, nesterov=chosen.nesterov)
        else:
            optimizer = torch.optim.AdamW(groups, betas=schedule.optimizer.betas)
        steps = int(self.trainer.estimated_stepping_batches)
        rate = scheduler(schedule.rate, optimizer, schedule.epochs, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}
