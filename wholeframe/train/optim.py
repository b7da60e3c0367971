"""How the optimiser treats each parameter, and the learning rate over a training as a factor on its peak."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from wholeframe.surgery.sites import in_block
from wholeframe.train.recipe import Cosine, OneCycle, Schedule, Steps

START = 1e-3  # of the peak, where a warm-up begins


class Role(NamedTuple):
    """What a parameter is to the optimiser: of a new block or of the backbone, a weight or a norm or bias (a vector)."""

    new: bool
    decays: bool


def roles(model: nn.Module) -> dict[str, Role]:
    """The role of every parameter, by name."""
    return {name: Role(in_block(name), p.ndim > 1) for name, p in model.named_parameters()}


def parameter_groups(model: nn.Module, schedule: Schedule, roles: Mapping[str, Role]) -> list[dict[str, Any]]:
    """Norms and biases without weight decay; inserted blocks with their own learning-rate factor."""
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
    """factor^(drops that are behind us), after the warm-up.

    `epoch` counts passes over the data and has a fraction: the rate changes from step to step.
    """
    passed = sum(drop <= epoch for drop in rate.drops)
    return warmed(epoch, rate.warmup) * rate.factor**passed


def cosine(epoch: float, epochs: int, rate: Cosine) -> float:
    """(1 + cos(pi t)) / 2, where t goes from 0 at the end of the warm-up to 1 at the end of the training."""
    part = max(epoch - rate.warmup, 0) / (epochs - rate.warmup)
    return warmed(epoch, rate.warmup) * (1 + math.cos(math.pi * part)) / 2


def warmed(epoch: float, warmup: float) -> float:
    """A straight line from `START` to 1 over `warmup` epochs."""
    return START + (1 - START) * epoch / warmup if epoch < warmup else 1.0


def scheduler(rate: OneCycle | Steps | Cosine, optimizer: Optimizer, epochs: int, steps: int) -> LRScheduler:
    """To be stepped after every one of `steps` optimiser steps; the groups' own rates are the peaks."""
    if isinstance(rate, OneCycle):
        peaks = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, peaks, total_steps=steps, pct_start=rate.rise)
    factor = partial(stepped, rate=rate) if isinstance(rate, Steps) else partial(cosine, epochs=epochs, rate=rate)
    return LambdaLR(optimizer, lambda step: factor(step * epochs / steps))
