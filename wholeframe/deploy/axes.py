"""Which sizes of an input are free, found by running the network, and the sizes at which a file is compared."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

AXES = {3: ("batch", "length"), 4: ("batch", "height", "width"), 5: ("batch", "time", "height", "width")}
INPUTS = {3: "sequences", 4: "images", 5: "clips"}
STEP = 32
"""the most that most networks divide a height or width by"""


@dataclass(frozen=True)
class Free:
    """The free axes of an input, and three shapes: the example's and two others.

    Args:
        shapes: the example's shape first.
        fixed: for every axis that the network takes at one size alone, the reason in its own words.
    """

    shapes: tuple[tuple[int, ...], ...]
    fixed: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all axes but the channels."""
        return AXES[len(self.shapes[0])]

    @property
    def places(self) -> dict[int, str]:
        """Index -> name of every free axis."""
        return {place: name for name, place in _places(self.names).items() if name not in self.fixed}

    @property
    def written(self) -> list[int | str]:
        """The shape with names in the place of free sizes: `["batch", 3, "height", "width"]`."""
        return [self.places.get(place, size) for place, size in enumerate(self.shapes[0])]


def free_axes(network: nn.Module, example: Tensor) -> Free:
    """Find the free axes: the network runs at two other sizes, and axis by axis if it fails there.

    Raises:
        ValueError: if the example has another rank than an input of images, clips or sequences, if the network does not
            run on it, or if every axis can change alone and not all of them together.
    """
    if example.ndim not in AXES:
        raise ValueError(
            f"the example has the shape {tuple(example.shape)}; give (b, c, h, w) for images, (b, c, t, h, w) for "
            "clips or (b, c, n) for sequences"
        )
    given = tuple(example.shape)
    if reason := _fails(network, given, example):
        raise ValueError(f"the network does not run on the example of shape {given} ({reason})")
    names = AXES[example.ndim]
    for pairs in (_pairs(given, smaller=True), _pairs(given, smaller=False)):
        if not any(_fails(network, shape, example) for shape in _shapes(given, pairs)):
            return Free((given, *_shapes(given, pairs)), {})
    fixed: dict[str, str] = {}
    chosen: dict[int, tuple[int, int]] = {}
    for name, place in _places(names).items():
        tried = [pairs[place] for pairs in (_pairs(given, smaller=True), _pairs(given, smaller=False))]
        reasons = [_fails_alone(network, place, pair, example) for pair in tried]
        if None in reasons:
            chosen[place] = tried[reasons.index(None)]
        else:
            fixed[name] = str(reasons[0])
    shapes = (given, *_shapes(given, chosen))
    for shape in shapes[1:]:
        if reason := _fails(network, shape, example):
            raise ValueError(
                f"every axis of the example of shape {given} can change alone, but the network does not take the shape "
                f"{shape} ({reason}); give an example whose sizes can change by {STEP}, or by a divisor of theirs"
            )
    return Free(shapes, fixed)


def random_input(shape: Sequence[int], like: Tensor) -> Tensor:
    """The same random numbers every time, in the dtype of the example."""
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(len(shape))).to(like.dtype)


def reason_of(error: BaseException) -> str:
    """The first line of the error that caused all others, with its type."""
    while error.__cause__ is not None:
        error = error.__cause__
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
    return f"{type(error).__name__}: {first[:300]}"


def _places(names: Sequence[str]) -> dict[str, int]:
    """Name -> index of the axis; index 1 is the channels."""
    return {name: 0 if number == 0 else number + 1 for number, name in enumerate(names)}


def _pairs(shape: tuple[int, ...], smaller: bool) -> dict[int, tuple[int, int]]:
    """Index -> two other sizes of every axis but the channels, smaller ones where there are two above a step.

    The second batch is a single sample, where code may squeeze an axis too many. Neighbouring axes get their sizes in
    opposite orders, so that no shape is a square.
    """
    batch, _, *grid = shape
    pairs = {0: (batch + 1, 1)}
    for axis, size in enumerate(grid):
        of_time = len(grid) == 3 and axis == 0
        step = max(1, math.gcd(size, 8) // 2) if of_time else math.gcd(size, STEP)
        pair = (size - step, size - 2 * step) if smaller and size > 2 * step else (size + step, size + 2 * step)
        pairs[axis + 2] = pair if axis % 2 == 0 else (pair[1], pair[0])
    return pairs


def _shapes(shape: tuple[int, ...], pairs: Mapping[int, tuple[int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape with the first, and with the second of these sizes."""
    first, second = (tuple(pairs[i][k] if i in pairs else size for i, size in enumerate(shape)) for k in (0, 1))
    return first, second


def _fails_alone(network: nn.Module, place: int, pair: tuple[int, int], example: Tensor) -> str | None:
    """Why the network does not run if one axis alone has these sizes; None if it does."""
    for shape in _shapes(tuple(example.shape), {place: pair}):
        if reason := _fails(network, shape, example):
            return f"at {shape[place]} in its place the network fails ({reason})"
    return None


def _fails(network: nn.Module, shape: Sequence[int], like: Tensor) -> str | None:
    """Why the network does not run at this shape; None if it does."""
    try:
        with torch.no_grad():
            network(random_input(shape, like))
    except Exception as error:  # any error may say that the network does not take this size
        return reason_of(error)
    return None
