"""Detectors of torchvision in a probe: a small example that they do not scale up, and the maps of their parts.

They scale every image to 800 pixels, and return only what they find, which on an image of noise may be nothing.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

DETECTED = (3, 64, 64)
"""The size of the default example: the smallest image with more than one position in res5."""


def is_detector(model: nn.Module) -> bool:
    """Whether the network has a backbone, and the transform of torchvision's detectors."""
    transform = getattr(model, "transform", None)
    return hasattr(model, "backbone") and all(hasattr(transform, name) for name in ("min_size", "max_size"))


@contextlib.contextmanager
def unscaled(model: nn.Module, size: Sequence[int]) -> Iterator[None]:
    """Within this context a detector takes an image of this height and width as it is; SSD keeps its fixed size."""
    transform: Any = getattr(model, "transform", None)
    if not is_detector(model):
        yield
        return
    sizes = transform.min_size, transform.max_size
    transform.min_size, transform.max_size = (min(size),), max(size)
    try:
        yield
    finally:
        transform.min_size, transform.max_size = sizes


@contextlib.contextmanager
def parts(model: nn.Module) -> Iterator[list[Tensor]]:
    """Within this context, collect copies of what the backbone and the heads of a detector return."""
    seen: list[Tensor] = []

    def keep(_part: nn.Module, _args: Any, given: Any) -> None:
        seen.extend(tensors(given))

    with contextlib.ExitStack() as hooks:
        for part in model.children() if is_detector(model) else ():
            if part is not model.transform:
                hooks.enter_context(part.register_forward_hook(keep))
        yield seen


def tensors(given: Any) -> list[Tensor]:
    """Copies of all tensors in a module's output."""
    return [leaf.clone() for leaf in pytree.tree_leaves(given) if isinstance(leaf, Tensor)]
