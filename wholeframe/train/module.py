"""The training as Lightning runs it: a network, the task and the schedule of a recipe."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from wholeframe.train.optim import parameter_groups, roles, scheduler
from wholeframe.train.recipe import SGD, Recipe


class TrainingModule(L.LightningModule):
    """Logs `train/loss`, `val/loss` and the score of the task, such as `val/accuracy`."""

    def __init__(self, network: nn.Module, num_classes: int, recipe: Recipe):
        super().__init__()
        self.network, self.task, self.schedule = network, recipe.task, recipe.schedule
        self.roles = roles(network)  # Taken now, because FSDP flattens every parameter to a vector later.
        self.metric = self.task.metric(num_classes)

    def training_step(self, batch: tuple[Any, Any], _index: int) -> Tensor:
        loss = self.task.loss(self.network, *batch)
        self.log("train/loss", loss, prog_bar=True, sync_dist=True)
        return loss

    def validation_step(self, batch: tuple[Any, Any], _index: int) -> None:
        validated = self.task.validate(self.network, *batch, self.metric)
        if validated is None:
            return
        loss, count = validated
        self.log("val/loss", loss, sync_dist=True, batch_size=count)
        self.log(f"val/{self.task.score}", self.metric, prog_bar=True, batch_size=count)

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
