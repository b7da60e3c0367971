"""Wrappers that share the work among devices: they read a network's parameters once, when they wrap it."""

import gc

import torch.distributed
from torch import nn

WRAPPERS = ("DistributedDataParallel", "FullyShardedDataParallel", "FSDPModule", "DataParallel")


def refuse_parallel(model: nn.Module) -> None:
    """ValueError for a model that is wrapped, has a wrapped part, or is part of a wrapped network."""
    inside = (f"{name!r} in the model" if name else "the model" for name, m in model.named_modules() if _kind(type(m)))
    where = next(inside, None)
    kind = next((kind for m in model.modules() if (kind := _kind(type(m)))), None)
    if where is None and torch.distributed.is_available() and torch.distributed.is_initialized():
        wrappers = [o for o in gc.get_objects() if issubclass(type(o), nn.Module) and _kind(type(o))]
        kind = next((_kind(type(o)) for o in wrappers if any(m is model for m in o.modules())), None)
        where = None if kind is None else "a network that contains the model"
    if where is not None:
        raise ValueError(
            f"{where} is wrapped in {kind}, which would never synchronise the weights of new blocks and would wait for "
            "those of removed ones; insert and remove blocks first, then wrap"
        )


def _kind(cls: type) -> str | None:
    return next((base.__name__ for base in cls.__mro__ if base.__name__ in WRAPPERS), None)
