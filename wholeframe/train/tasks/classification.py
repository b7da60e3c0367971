"""The training as Lightning wants it: loss, score and optimiser of a recipe."""

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from wholeframe.train.evaluate import has_label
from wholeframe.train.optim import parameter_groups, roles, scheduler
from wholeframe.train.recipe import SGD, Recipe
from wholeframe.train.tasks.objective import OBJECTIVES


class Classification(L.LightningModule):
    """Logits `(b, k)` of images or clips, or `(b, k, h, w)` with labels `(b, h, w)`; see `OBJECTIVES`."""

    def __init__(self, network: nn.Module, classes: int, recipe: Recipe):
        super().__init__()
        self.network, self.schedule = network, recipe.schedule
        self.roles = roles(network)  # asked now: FSDP will flatten every parameter to a vector
        self.objective = OBJECTIVES[recipe.labels]
        self.score = self.objective.metric(classes)

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        images, labels = batch
        loss = self.objective.loss(self.network(images), labels)
        self.log("train/loss", loss, prog_bar=True, sync_dist=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        images, labels = batch
        read = has_label(labels)
        if not read.any():
            return
        images, labels = images[read], labels[read]
        logits = self.network(images)
        self.score.update(logits, labels)
        loss = self.objective.loss(logits, labels)
        self.log("test/loss", loss, sync_dist=True, batch_size=len(images))
        self.log(f"test/{self.objective.score}", self.score, prog_bar=True, batch_size=len(images))

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
