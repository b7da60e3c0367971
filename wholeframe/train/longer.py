"""More or fewer epochs for a run that has begun: its learning rate follows the new schedule from there."""

import dataclasses
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from wholeframe.train.recipe import Recipe, Steps


class NewSchedule(Callback):
    """The learning rate of a resumed run is that of a run which had its number of epochs from the start."""

    resumed = False

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.resumed = True
        for state in checkpoint["lr_schedulers"]:
            # The state of OneCycleLR has its number of steps, which would replace the new one.
            state.pop("total_steps", None)
            state.pop("_schedule_phases", None)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for config in trainer.lr_scheduler_configs if self.resumed else ():
            scheduler: Any = config.scheduler
            # The rate in the checkpoint is that of the old schedule; this takes it at the same step of the new one.
            scheduler.last_epoch -= 1
            scheduler.step()


def with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with another number of epochs. ValueError if its schedule does not fit into them."""
    return dataclasses.replace(recipe, schedule=dataclasses.replace(recipe.schedule, epochs=epochs))


def consequence(recipe: Recipe, done: int, epochs: int) -> str:
    """A sentence that says how the learning rate goes on when a run is given `epochs` epochs.

    Args:
        recipe: with the number of epochs that it had so far.
        done: number of full epochs.
        epochs: the new number of epochs.
    """
    before, rate = recipe.schedule.epochs, recipe.schedule.rate
    went = f"epochs: {before} before, {epochs} now, {done} done"
    if isinstance(rate, Steps):
        return f"{went}; the learning rate keeps its drops after {_epochs(rate.drops)}"
    name = type(rate).__name__
    return (
        f"{went}; the learning rate follows {name} over {epochs} epochs from here on, so that it jumps, and the result "
        f"is not that of a run which had {epochs} epochs from the start"
    )


def _epochs(drops: tuple[float, ...]) -> str:
    return f"epochs {', '.join(f'{drop:g}' for drop in drops)}" if drops else "no epoch"
