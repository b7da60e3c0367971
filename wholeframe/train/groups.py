"""Which parameter gets which learning rate and weight decay."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import nn

from wholeframe.models.places import in_block
from wholeframe.train.recipe import Schedule


class Role(NamedTuple):
    """What a parameter is to the optimiser: of a new block or of the host, a weight or a norm or bias (a vector)."""

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
