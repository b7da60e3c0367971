"""Which parameter gets which learning rate and weight decay."""

from typing import Any

from torch import nn

from wholeframe.models.places import in_block
from wholeframe.train.recipe import Schedule


def parameter_groups(model: nn.Module, schedule: Schedule) -> list[dict[str, Any]]:
    """Norms and biases (all vectors) without weight decay; inserted blocks with their own learning-rate factor."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        key = (in_block(name), parameter.ndim > 1)
        groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": schedule.lr * (schedule.block_lr if new else 1.0),
            "weight_decay": schedule.weight_decay if decays else 0.0,
        }
        for (new, decays), parameters in groups.items()
    ]
