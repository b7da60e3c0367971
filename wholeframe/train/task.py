"""What is learned: one class per image, or one at every position that asks."""

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from wholeframe.data.markers import IGNORE
from wholeframe.train.groups import parameter_groups
from wholeframe.train.recipe import Schedule


class Classification(L.LightningModule):
    """Cross entropy and accuracy; logits `(b, k)` with labels `(b,)`, or `(b, k, h, w)` with `(b, h, w)`."""

    def __init__(self, network: nn.Module, classes: int, schedule: Schedule):
        super().__init__()
        self.network, self.schedule = network, schedule
        self.accuracy = MulticlassAccuracy(classes, average="micro", ignore_index=IGNORE)

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        images, labels = batch
        loss = F.cross_entropy(self.network(images), labels, ignore_index=IGNORE)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        images, labels = batch
        logits = self.network(images)
        self.accuracy.update(logits, labels)
        self.log("test/loss", F.cross_entropy(logits, labels, ignore_index=IGNORE), batch_size=len(images))
        self.log("test/accuracy", self.accuracy, prog_bar=True, batch_size=len(images))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer = torch.optim.AdamW(parameter_groups(self.network, self.schedule))
        peaks = [group["lr"] for group in optimizer.param_groups]
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
