"""A training stops where its loss or a weight is not finite, and no such weight is saved or loaded."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from wholeframe.messages import listed
from wholeframe.train.loaders import Replayed

SKIPPED = 20
"""Steps in a row without a finite loss after which a training in fp16 stops: its scaler skips single ones."""

SAVED = ("state_dict", "current_model_state", "optimizer_states")
"""The entries of a checkpoint that hold weights, and running means of gradients."""


def not_finite(value: Any, name: str = "") -> Iterator[str]:
    """The names of the tensors in nested dicts and lists that hold a NaN or an infinite value.

    A mask of zeros and infinities is a constant of a network and is left out.
    """
    if isinstance(value, Tensor):
        if value.is_floating_point() and not value.isfinite().all() and not _is_mask(value):
            yield name
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from not_finite(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for key, part in enumerate(value):
            yield from not_finite(part, f"{name}.{key}" if name else str(key))


def _is_mask(value: Tensor) -> bool:
    zero = value == 0
    return bool(zero.any() and (zero | value.isinf()).all())


def _wrong(checkpoint: Mapping[str, Any]) -> list[str]:
    """The names of what a checkpoint saves that is not finite."""
    return [name for entry in SAVED if entry in checkpoint for name in not_finite(checkpoint[entry])]


def refuse_not_finite(checkpoint: Mapping[str, Any], source: str) -> None:
    """Refuse a checkpoint with weights that are not finite.

    Args:
        checkpoint: the content of a checkpoint of a run.
        source: the file, in the words of the message.

    Raises:
        ValueError: a weight, or a running mean of the optimiser, holds a NaN or an infinite value.
    """
    if wrong := _wrong(checkpoint):
        raise ValueError(
            f"{source} holds values that are not finite ({listed(wrong, most=3)}): the training that wrote it diverged"
            "; take another checkpoint, such as best.ckpt, or train once more with a lower --lr or with --clip 1"
        )


class Finite(Callback):
    """Stops a training with the step, the samples and the learning rate of the first loss that is not finite.

    A CPU looks at every loss before its gradient is taken. An accelerator notes the step on the device and looks when
    Lightning logs, and before every validation and every checkpoint, so that no step waits for it.

    Args:
        checkpoint: `last.ckpt` of the run; None without a run.
    """

    def __init__(self, checkpoint: Path | None = None):
        self.checkpoint = checkpoint
        self.steps: dict[int, tuple[int, float]] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.first = torch.full((), -1, device=pl_module.device)
        self.streak = torch.zeros_like(self.first)
        self.value = torch.zeros((), device=pl_module.device)
        self.every = 1 if pl_module.device.type == "cpu" else log_interval(trainer)
        self.limit = SKIPPED if getattr(trainer.precision_plugin, "scaler", None) is not None else 1

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.batch = batch
        self.steps[trainer.global_step] = batch_idx, max(group["lr"] for group in trainer.optimizers[0].param_groups)

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        step, loss = trainer.global_step, loss.detach().float()
        if trainer.world_size > 1:  # All processes have to stop in the same step, so that none waits for another.
            loss = trainer.strategy.reduce(loss, reduce_op="mean")
        self.streak = torch.where(loss.isfinite(), 0, self.streak + 1)
        new = (self.streak >= self.limit) & (self.first < 0)
        self.first, self.value = torch.where(new, step, self.first), torch.where(new, loss, self.value)
        if (step + 1) % self.every == 0:
            self._look(trainer, pl_module)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._look(trainer, pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        loss = trainer.callback_metrics.get("val/loss")
        if loss is not None and not loss.isfinite():
            raise ValueError(
                f"the validation loss is {float(loss)} after epoch {trainer.current_epoch}, and that of the training "
                f"is finite; {self._way(trainer)}"
            )

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if wrong := _wrong(checkpoint):
            raise ValueError(
                f"after step {trainer.global_step - 1} (epoch {trainer.current_epoch}) these values are not finite, "
                f"and are not saved: {listed(wrong, most=3)}; {self._way(trainer)}"
            )

    def _look(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Raise if a loss was not finite since the last look."""
        step = int(self.first)
        if step < 0:
            self.steps.clear()
            return
        batch_idx, rate = self.steps[step]
        repeated = f" for {self.limit} steps in a row" if self.limit > 1 else ""
        names = batch_names(trainer.train_dataloader, batch_idx)
        raise ValueError(
            f"the loss is {float(self.value)}{repeated} in step {step} (epoch {trainer.current_epoch}, batch "
            f"{batch_idx}) at the learning rate {rate:g}, on {listed(names, most=64)}"
            f"{self._cause(trainer, pl_module, step)}; {self._way(trainer)}"
        )

    def _cause(self, trainer: L.Trainer, pl_module: L.LightningModule, step: int) -> str:
        """Whether the samples or the weights were not finite before; this can be seen in the step itself alone."""
        if step != trainer.global_step:
            return ""
        wrong = [number for number, sample in enumerate(self.batch[0]) if not sample.isfinite().all()]
        if wrong:
            names = batch_names(trainer.train_dataloader, self.steps[step][0])[
                trainer.global_rank :: trainer.world_size
            ]
            return f"; the values of {listed(names[number] for number in wrong)} are not finite themselves"
        weights = list(not_finite(dict(pl_module.named_parameters())))
        return f"; the step before left weights that are not finite ({listed(weights, most=3)})" if weights else ""

    def _way(self, trainer: L.Trainer) -> str:
        precise = "" if trainer.precision == "32-true" else ", or --precision 32-true"
        if self.checkpoint is None or not self.checkpoint.is_file():
            return f"no checkpoint was saved before; train with a lower --lr or with --clip 1{precise}"
        return (
            f"the last good checkpoint is '{self.checkpoint}'; begin another run from it, with --start and a lower "
            f"--lr or with --clip 1{precise}"
        )


def batch_names(loader: Any, batch_idx: int) -> list[str]:
    """The names of the samples of one batch of all processes, drawn once more in the order of the epoch."""
    if not isinstance(loader, Replayed):
        return [f"batch {batch_idx}"]
    samples = loader.dataset
    share: Any = loader.batch_sampler
    indices: Any = range(len(samples))  # type: ignore[arg-type]  # Samples have a length.
    again = Replayed(indices, batch_sampler=share.batches, generator=loader.order, seed=loader.seed)
    batch = next(part for number, part in enumerate(again) if number == batch_idx)
    name = getattr(getattr(samples, "samples", None), "name", "sample {}".format)
    return [name(index) for index in batch.tolist()]


def log_interval(trainer: L.Trainer) -> int:
    """Steps between two rows of the log."""
    return trainer.log_every_n_steps  # type: ignore[attr-defined]  # Lightning sets it in its connector.
