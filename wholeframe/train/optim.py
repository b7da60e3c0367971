"""Parameter groups of the optimiser, and the learning rate as a factor on its peak."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from wholeframe.surgery.placement import in_block
from wholeframe.train.layer_rates import depth_of_parts
from wholeframe.train.recipe import Cosine, OneCycle, Schedule, Steps

START = 1e-3  # Fraction of the peak rate at which a warm-up begins.


class Role(NamedTuple):
    """How the optimiser treats a parameter: `new` if it is in an inserted block; norms and biases do not decay."""

    new: bool
    decays: bool
    above: int = 0
    """number of parts of the backbone that follow the part of the parameter"""


def roles(model: nn.Module) -> dict[str, Role]:
    """The role of every parameter, by name."""
    depths = depth_of_parts(model)
    last = max(depths.values(), default=0)
    return {
        name: Role(True, p.ndim > 1) if in_block(name) else Role(False, p.ndim > 1, last - depths[name])
        for name, p in model.named_parameters()
    }


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
        role = roles[name] if schedule.layer_lr < 1 else roles[name]._replace(above=0)
        groups.setdefault(role, []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": schedule.lr * (schedule.block_lr if role.new else schedule.layer_lr**role.above),
            "weight_decay": schedule.weight_decay if role.decays else 0.0,
            "name": _name(role),
        }
        for role, parameters in groups.items()
    ]


def _name(role: Role) -> str:
    """The name under which the learning rate of a group is logged."""
    if role.new:
        return "blocks"
    return f"backbone-{role.above}" if role.above else "backbone"


def learning_rates(optimizer: Optimizer) -> dict[str, float]:
    """The present learning rates, by the names of their groups; a checkpoint of an earlier version has no names."""
    return {group.get("name", "backbone"): group["lr"] for group in optimizer.param_groups}


def stepped(epoch: float, rate: Steps) -> float:
    """factor^(number of drops so far), times the warm-up.

    `epoch` counts passes over the data and has a fraction, because the rate changes at every step.
    """
    passed = sum(drop <= epoch for drop in rate.drops)
    return warmed(epoch, rate.warmup, rate.start) * rate.factor**passed


def cosine(epoch: float, epochs: int, rate: Cosine) -> float:
    """(1 + cos(pi t)) / 2, where t runs from 0 at the end of the warm-up to 1 at the end of the training."""
    part = max(epoch - rate.warmup, 0) / (epochs - rate.warmup)
    return warmed(epoch, rate.warmup) * (1 + math.cos(math.pi * part)) / 2


def warmed(epoch: float, warmup: float, start: float = START) -> float:
    """A line from `start` to 1 over `warmup` epochs."""
    return start + (1 - start) * epoch / warmup if epoch < warmup else 1.0


def scheduler(rate: OneCycle | Steps | Cosine, optimizer: Optimizer, epochs: int, steps: int) -> LRScheduler:
    """A scheduler to step after each of the `steps` optimiser steps; the rates of the groups are the peaks."""
    if isinstance(rate, OneCycle):
        peaks = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, peaks, total_steps=steps, pct_start=rate.rise)
    factor = partial(stepped, rate=rate) if isinstance(rate, Steps) else partial(cosine, epochs=epochs, rate=rate)
    return LambdaLR(optimizer, lambda step: factor(step * epochs / steps))
