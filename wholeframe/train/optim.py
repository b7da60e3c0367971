"""Parameter groups of the optimiser, and the learning rate as a factor on its peak."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from wholeframe.surgery.placement import in_block
from wholeframe.train.recipe import Cosine, OneCycle, Schedule, Steps

START = 1e-3  # Fraction of the peak rate at which a warm-up begins.


class Role(NamedTuple):
    """How the optimiser treats a parameter: `new` if it is in an inserted block; norms and biases do not decay."""

    new: bool
    decays: bool


def roles(model: nn.Module) -> dict[str, Role]:
    """The role of every parameter, by name."""
    return {name: Role(in_block(name), p.ndim > 1) for name, p in model.named_parameters()}


def parameter_groups(model: nn.Module, schedule: Schedule, roles: Mapping[str, Role]) -> list[dict[str, Any]]:
    """Groups of parameters with the same learning rate and weight decay.

    Args:
        model: its parameters, of any shape: FSDP flattens them.
        schedule: learning rates and weight decay.
        roles: the role of every parameter, by name.

    Returns:
        The groups, as an optimiser of torch takes them.
    """
    groups: dict[Role, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        groups.setdefault(roles[name], []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": schedule.lr * (schedule.block_lr if role.new else 1.0),
            "weight_decay": schedule.weight_decay if role.decays else 0.0,
        }
        for role, parameters in groups.items()
    ]


def stepped(epoch: float, rate: Steps) -> float:
    """factor^(number of drops so far), times the warm-up.

    `epoch` counts passes over the data and has a fraction, because the rate changes at every step.
    """
    passed = sum(drop <= epoch for drop in rate.drops)
    return warmed(epoch, rate.warmup) * rate.factor**passed


def cosine(epoch: float, epochs: int, rate: Cosine) -> float:
    """(1 + cos(pi t)) / 2, where t runs from 0 at the end of the warm-up to 1 at the end of the training."""
    part = max(epoch - rate.warmup, 0) / (epochs - rate.warmup)
    return warmed(epoch, rate.warmup) * (1 + math.cos(math.pi * part)) / 2


def warmed(epoch: float, warmup: float) -> float:
    """A line from `START` to 1 over `warmup` epochs."""
    return START + (1 - START) * epoch / warmup if epoch < warmup else 1.0


def scheduler(rate: OneCycle | Steps | Cosine, optimizer: Optimizer, epochs: int, steps: int) -> LRScheduler:
    """A scheduler to step after each of the `steps` optimiser steps; the rates of the groups are the peaks."""
    if isinstance(rate, OneCycle):
        peaks = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, peaks, total_steps=steps, pct_start=rate.rise)
    factor = partial(stepped, rate=rate) if isinstance(rate, Steps) else partial(cosine, epochs=epochs, rate=rate)
    return LambdaLR(optimizer, lambda step: factor(step * epochs / steps))
