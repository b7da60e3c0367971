"""SIGTERM, as a scheduler sends it, and Ctrl-C end a training after the running step, with a checkpoint of that step.

A resumed run continues within the epoch: the order of samples is a function of the epoch, so that the number of trained
batches says where it goes on, and the state of the random numbers of every process is in the checkpoint.
"""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopping(Callback):
    """Saves `file` within an epoch when a signal ends the training.

    A second Ctrl-C ends it at once. A signal during the validation takes effect at its end, after the checkpoint of the
    epoch.

    Args:
        file: the checkpoint; None saves nothing.
    """

    def __init__(self, file: Path | None):
        self.file = file
        self.received: int | None = None
        self.random_states: list[dict[str, torch.Tensor]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.random_states and len(self.random_states) != trainer.world_size:
            raise ValueError(
                f"the run was stopped within an epoch by {len(self.random_states)} processes, and this training has "
                f"{trainer.world_size}; give --devices {len(self.random_states)} to resume it exactly"
            )
        if threading.current_thread() is threading.main_thread():  # Others may not set handlers.
            for number in SIGNALS:
                signal.signal(number, self._note)  # Lightning restores the handlers before it at the end.

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.random_states:
            state = self.random_states[trainer.global_rank]
            torch.set_rng_state(state["cpu"])
            if "cuda" in state:
                torch.cuda.set_rng_state(state["cuda"], pl_module.device)
            self.random_states = []

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._agree(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._agree(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        done = trainer.fit_loop.epoch_loop.batch_progress.current.completed
        within = 0 < done < trainer.num_training_batches
        if isinstance(exception, SIGTERMException) and self.file is not None and within:
            self.random_states = _gathered(trainer, _random_state(pl_module))
            trainer.save_checkpoint(self.file)

    def state_dict(self) -> dict[str, Any]:
        return {"random_states": self.random_states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.random_states = state_dict["random_states"]

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received is not None:
            raise KeyboardInterrupt
        self.received = number

    def _agree(self, trainer: L.Trainer) -> None:
        """All processes stop after the same step, if one of them has a signal."""
        if trainer.strategy.reduce_boolean_decision(self.received is not None, all=False):
            # Lightning raises SIGTERMException at the end of this step, when its metrics are written.
            trainer._signal_connector.received_sigterm = True


def _random_state(module: L.LightningModule) -> dict[str, torch.Tensor]:
    state = {"cpu": torch.get_rng_state()}
    return state | ({"cuda": torch.cuda.get_rng_state(module.device)} if module.device.type == "cuda" else {})


def _gathered(trainer: L.Trainer, state: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    if trainer.world_size == 1:
        return [state]
    states: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(states, state)
    return states
