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
    places = _places(AXES[example.ndim])
    others = _others(given)
    fixed: dict[str, str] = {}
    if _fails(network, others[0], example):
        for name, place in places.items():
            alone = (*given[:place], others[0][place], *given[place + 1 :])
            if reason := _fails(network, alone, example):
                fixed[name] = f"at {alone[place]} in its place the network fails ({reason})"
    kept = {places[name] for name in fixed}
    shapes = (given, *(tuple(given[i] if i in kept else size for i, size in enumerate(other)) for other in others))
    for shape in shapes[1:]:
        if shape != given and (reason := _fails(network, shape, example)):
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


def _others(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that differ from this one in every axis but the channels, and from each other.

    The second has a single sample: a batch of one is where code squeezes an axis too many.
    """
    batch, channels, *grid = shape
    time, space = (grid[:1], grid[1:]) if len(grid) == 3 else ([], grid)
    steps = [*(max(1, math.gcd(size, 8) // 2) for size in time), *(math.gcd(size, STEP) for size in space)]
    up = [size + step for size, step in zip(grid, steps, strict=True)]
    more = [size + 2 * step for size, step in zip(grid, steps, strict=True)]
    down = [size - step if size > step else size + 3 * step for size, step in zip(grid, steps, strict=True)]
    first = [(up, down)[axis % 2][axis] for axis in range(len(grid))]
    second = [(down, more)[axis % 2][axis] for axis in range(len(grid))]
    return (batch + 1, channels, *first), (1, channels, *second)


def _fails(network: nn.Module, shape: Sequence[int], like: Tensor) -> str | None:
    """Why the network does not run at this shape; None if it does."""
    try:
        with torch.no_grad():
            network(random_input(shape, like))
    except Exception as error:  # any error may say that the network does not take this size
        return reason_of(error)
    return None
