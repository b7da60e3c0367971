"""What every block of a network sees in one forward pass: its input, and where the input's grid lies in the image.

torchvision's detectors scale an image and pad it at the right and at the bottom, so that there the grid reaches beyond
the image; and the blocks of their heads see regions, each cut out of the image by a box and scaled to the same grid.
"""

import contextlib
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

from wholeframe.explain.frame import Frame
from wholeframe.surgery.probe import evaluating


class Seen(NamedTuple):
    """The input of a block, and the frames of its samples in the image.

    `regions` says whether a sample is a region of the image; otherwise there is one frame, that of the whole image.
    """

    x: Tensor
    frames: tuple[Frame, ...]
    regions: bool


class Sample(NamedTuple):
    """The tensor of the input that queries are positions of, and its axes that have a grid: rows and columns, ..."""

    tensor: Tensor
    axes: tuple[int, ...]

    @property
    def size(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape[axis] for axis in self.axes)


def arguments_of(x: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a network: a tuple has several, a dict has named ones, and all else is one."""
    if isinstance(x, tuple):
        return x, {}
    return ((), dict(x)) if isinstance(x, Mapping) else ((x,), {})


def sample_of(x: Any) -> Sample:
    """The image, clip or signal in the input of a network: its largest tensor of numbers with a grid.

    Raises:
        ValueError: there is none, or it has more than one sample.
    """
    args, kwargs = arguments_of(x)
    leaves = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    leaves = [leaf for leaf in leaves if leaf.is_floating_point() and leaf.ndim >= 3]
    if not leaves:
        raise ValueError(
            "the input holds no image (1, c, h, w) and no clip (1, c, t, h, w) of floating-point numbers; give one, or "
            "for a detector [image] with (3, h, w)"
        )
    listed = isinstance(x, list) and all(isinstance(each, Tensor) and each.ndim == 3 for each in x)
    count = len(x) if listed else leaves[0].shape[0]
    if count != 1:
        single = ", or x[None] for a single image (c, h, w)" if leaves[0].ndim == 3 and not listed else ""
        raise ValueError(f"attention is of one image or clip, and {count} are given; give image[:1]{single}")
    largest = max(leaves, key=Tensor.numel)
    first = 1 if listed else 2
    axes = tuple(range(first, largest.ndim))
    if not listed and largest.ndim == 5 and largest.shape[2] in (1, 3) and largest.shape[1] not in (1, 3):
        axes = (1, 3, 4)  # (b, t, c, h, w), as transformers have clips
    return Sample(largest, axes)


def seen_by(network: nn.Module, image: Tensor | Sequence[Tensor], names: Iterable[str]) -> dict[str, Seen]:
    """The input of the modules of these names in one forward pass in eval mode, in the order in which they run.

    Args:
        network: it runs once.
        image: a batch of images `(b, 3, h, w)`, or a list of images `(3, h, w)` for detectors.
        names: of blocks. One that does not run is not in the result; of one that runs several times it has the last.

    Returns:
        What each block saw. The frames are those of the first image.
    """
    return dict(runs_of(network, image, names))


@torch.no_grad()
def runs_of(network: nn.Module, x: Any, names: Iterable[str]) -> list[tuple[str, Seen]]:
    """What the modules of these names see in every run within one forward pass in eval mode, in the order of the runs.

    Args:
        network: it runs once.
        x: its input; see `wholeframe.attention`.
        names: of blocks.
    """
    args, kwargs = arguments_of(x)
    leaf = next(leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
    size = tuple(leaf.shape[1:] if isinstance(x, list) and leaf.ndim == 3 else leaf.shape[2:])
    runs: list[tuple[str, Seen]] = []
    now = (Frame.whole(size),), False

    def scaled(_transform: nn.Module, _args: Any, output: tuple[Any, Any]) -> None:
        nonlocal now
        images = output[0]
        now = (_padded(size, images.image_sizes[0], images.tensors.shape[-2:]),), False

    def pooled(_pool: nn.Module, args: tuple[Mapping[str, Tensor], list[Tensor], list[tuple[int, int]]]) -> None:
        nonlocal now
        boxes, scaled_sizes = args[1], args[2]
        now = _regions(size, scaled_sizes[0], boxes[0]), True

    def keep(name: str, _block: nn.Module, args: tuple[Tensor, ...]) -> None:
        runs.append((name, Seen(args[0], *now)))

    with evaluating(network), contextlib.ExitStack() as hooks:
        for module in network.modules():
            if isinstance(module, GeneralizedRCNNTransform):
                hooks.enter_context(module.register_forward_hook(scaled))
            if isinstance(module, MultiScaleRoIAlign):
                hooks.enter_context(module.register_forward_pre_hook(pooled))
        for name in names:
            hooks.enter_context(network.get_submodule(name).register_forward_pre_hook(functools.partial(keep, name)))
        network(*args, **kwargs)
    return runs


def _padded(size: Sequence[int], scaled: Sequence[int], padded: Sequence[int]) -> Frame:
    """The frame of an image that is scaled and then padded, in pixels before the scaling."""
    return Frame.whole(size).scaled([whole / part for part, whole in zip(scaled, padded, strict=True)])


def _regions(size: Sequence[int], scaled: Sequence[int], boxes: Tensor) -> tuple[Frame, ...]:
    """The frames of boxes `(n, 4)` with x1, y1, x2, y2 in pixels of the scaled image, before the scaling."""
    factors = [side / part for side, part in zip(size, scaled, strict=True)]
    return tuple(Frame(((y1, y2), (x1, x2))).scaled(factors) for x1, y1, x2, y2 in boxes.tolist())
