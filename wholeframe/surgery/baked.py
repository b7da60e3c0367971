"""A site and its block as one ordinary module, without hooks."""

from collections.abc import Collection, Container
from itertools import combinations
from typing import Any

from torch import nn

from wholeframe.surgery.placement import CHILD, BlockHook

INNER = "site"
NORM_FIELDS = ("weight", "bias", "running_mean", "running_var", "eps", "num_batches_tracked")


def unbaked(name: str) -> str:
    """A name without every part `site`: equal for a module or weight before and after `bake`."""
    return ".".join(part for part in name.split(".") if part != INNER)


def old_name(name: str, baked: Collection[str]) -> str:
    """The name before `bake`: `layer3.4.bn3` for `layer3.4.site.bn3` where `layer3.4` is among the `baked` modules."""
    for place in sorted(baked, key=len, reverse=True):  # a baked module within another comes first
        if f"{name}.".startswith(f"{place}.{INNER}."):
            name = place + name.removeprefix(f"{place}.{INNER}")
    return name


def name_among(known: Container[str], name: str) -> str:
    """The one of the `known` names, those of a network without baked modules, that is this name before `bake`.

    A part of the name that is `site` may come from `bake` or from the network; the most parts that fit are kept. A name
    that fits none stays.
    """
    parts = name.split(".")
    inner = [place for place, part in enumerate(parts) if part == INNER]
    for count in range(len(inner) + 1):
        for left_out in combinations(inner, count):
            shorter = ".".join(part for place, part in enumerate(parts) if place not in left_out)
            if shorter in known:
                return shorter
    return name


class Baked(nn.Module):
    """y = block(site(x)): `site` is the module that had the hook, and `wholeframe` the block.

    Attributes of the site can be read through it: values, tensors and submodules. Methods cannot, and neither can the
    numbers of a norm, because a tool that folds a norm would fold past the block.
    """

    def __init__(self, site: nn.Module, block: nn.Module, hook: BlockHook):
        super().__init__()
        self.site = site
        self.add_module(CHILD, block)
        self.block_hook = hook
        self.training = site.training
        self.register_load_state_dict_pre_hook(_take_old_keys)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.block_hook(self, args, self.site(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            site = self.__dict__.get("_modules", {}).get(INNER)
            if site is None or name.startswith("_"):
                raise
            value = getattr(site, name)
            if name in NORM_FIELDS and hasattr(site, "eps"):
                reason = "a tool that folds this norm would drop the block"
            elif callable(value) and not isinstance(value, nn.Module):
                reason = "its methods do not call the block"
            else:
                return value
        raise AttributeError(
            f"{name!r} is not read through a baked {type(site).__name__}: {reason}; read `.site.{name}`"
        )


def baked_names(network: nn.Module) -> list[str]:
    """The names of all baked modules, a shared one by each of its names."""
    return [name for name, module in network.named_modules(remove_duplicate=False) if isinstance(module, Baked)]


def unbake(model: nn.Module, blocks: Collection[nn.Module]) -> None:
    """Put the site of each of these baked modules back in its place, without the block."""
    places = {name: m for name, m in model.named_modules(remove_duplicate=False) if isinstance(m, Baked)}
    for name in sorted(places, key=lambda name: -name.count(".")):  # outer names stay as they are until the end
        if places[name] in blocks:
            model.set_submodule(name, places[name].site)


def _take_old_keys(baked: Baked, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Rename the keys of the network before `bake`: `layer3.4.conv1.weight` is `layer3.4.site.conv1.weight`."""
    inner = f"{prefix}{INNER}."
    if all(f"{inner}{key}" in state for key in baked.site.state_dict()):
        return
    for key in [key for key in state if key.startswith(prefix) and not key.startswith(f"{prefix}{CHILD}.")]:
        state[f"{inner}{key.removeprefix(prefix)}"] = state.pop(key)
