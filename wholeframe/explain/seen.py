"""What every block of a network sees in one forward pass: its input, and where the input's grid lies in the image.

Most places are followed through the operations (`tracker`). torchvision's detectors scale an image and pad it at the
right and at the bottom, so that there the grid reaches beyond the image; and the blocks of their heads see regions,
each cut out of the image by a box and scaled to the same grid. Both are read where they happen.
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
from wholeframe.explain.places import Root, root_place
from wholeframe.explain.tracker import Tracker
from wholeframe.surgery.probe import evaluating


class Seen(NamedTuple):
    """The input of a block, and the frames of its samples in the image.

    `regions` says whether a sample is a region of the image that a detector has chosen, and `parts` whether it is a
    frame of a clip or a window; otherwise there is one frame. The grid of the block has the `axes` of the input; None
    where an operation has lost its place, and the frame covers the input evenly.
    """

    x: Tensor
    frames: tuple[Frame, ...]
    regions: bool
    axes: tuple[int, ...] | None = None
    parts: bool = False


class Sample(NamedTuple):
    """A tensor of the input, its dimensions that have a grid (rows and columns, ...), and the number of samples."""

    tensor: Tensor
    axes: tuple[int, ...]
    samples: int

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
    found = samples_in(x)
    if not found:
        raise ValueError(
            "the input holds no image (1, c, h, w) and no clip (1, c, t, h, w) of floating-point numbers; give one, or "
            "for a detector [image] with (3, h, w)"
        )
    largest = max(found, key=lambda sample: sample.tensor.numel())
    if largest.samples != 1:
        single = ", or x[None] for one image (c, h, w)" if len(largest.axes) == 1 else ""
        raise ValueError(f"attention is of one image or clip, and {largest.samples} are given; give image[:1]{single}")
    return largest


def samples_in(x: Any) -> list[Sample]:
    """All tensors of the input that have a grid."""
    leaves = [leaf for leaf in pytree.tree_leaves(arguments_of(x)) if isinstance(leaf, Tensor)]
    images = isinstance(x, list) and all(isinstance(each, Tensor) and each.ndim == 3 for each in x)
    found = []
    for leaf in leaves:
        if not leaf.is_floating_point() or leaf.ndim < 3:
            continue
        axes = tuple(range(1 if images else 2, leaf.ndim))
        if leaf.ndim == 5 and leaf.shape[2] in (1, 3) and leaf.shape[1] not in (1, 3):
            axes = (1, 3, 4)  # (b, t, c, h, w), as transformers take clips
        found.append(Sample(leaf, axes, len(x) if images else leaf.shape[0]))
    return found


@torch.no_grad()
def runs_of(network: nn.Module, x: Any, names: Iterable[str]) -> list[tuple[str, Seen]]:
    """What the modules of these names see in every run within one forward pass in eval mode, in the order of the runs.

    Args:
        network: it runs once.
        x: its input; see `wholeframe.attention`.
        names: of blocks.
    """
    args, kwargs = arguments_of(x)
    samples, tracker = samples_in(x), Tracker()
    size = max(samples, key=lambda sample: sample.tensor.numel()).size
    now = Root((Frame.whole(size),), size)
    for sample in samples:
        if len(sample.size) == len(size):
            root = Root(now.frames, sample.size)
            tracker.mark(sample.tensor, root_place(root, sample.tensor.shape, sample.axes))
    runs: list[tuple[str, Seen]] = []

    def scaled(_transform: nn.Module, _args: Any, output: tuple[Any, Any]) -> None:
        nonlocal now
        images = output[0]
        padded = tuple(images.tensors.shape[-2:])
        now = Root((_padded(size, images.image_sizes[0], padded),), padded)
        tracker.mark(images.tensors, root_place(now, images.tensors.shape, (2, 3)))

    def pooled(
        _pool: nn.Module, args: tuple[Mapping[str, Tensor], list[Tensor], list[tuple[int, int]]], output: Tensor
    ) -> None:
        nonlocal now
        now = Root(_regions(size, args[2][0], args[1][0]), tuple(output.shape[2:]), regions=True)
        tracker.mark(output, root_place(now, output.shape, (2, 3)))

    def keep(name: str, _block: nn.Module, args: tuple[Tensor, ...]) -> None:
        place = tracker.place(args[0])
        root, located = (now, None) if place is None else (place.root, place.located())
        if located is None:
            runs.append((name, Seen(args[0], root.frames, root.regions)))
        else:
            runs.append((name, Seen(args[0], located.frames, root.regions, located.axes, located.parts)))

    with evaluating(network), contextlib.ExitStack() as hooks, tracker:
        for module in network.modules():
            if isinstance(module, GeneralizedRCNNTransform):
                hooks.enter_context(module.register_forward_hook(scaled))
            if isinstance(module, MultiScaleRoIAlign):
                hooks.enter_context(module.register_forward_hook(pooled))
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
