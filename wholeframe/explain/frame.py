"""Where the grid of a block lies in the input of its network, in pixels (and in frames of a clip)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """One interval per axis of the input, which the cells of a grid divide evenly.

        cell i of n covers start + (end - start) * [i/n, (i+1)/n)

    Pixel k covers k to k + 1 and has its centre at k + 1/2; the same holds for the frames of a clip. A frame may reach
    beyond the input, and it may leave a part of the input out: the centres of the cells are those of what the features
    see, and with a stride of 16 the first of them is that of the first pixel, so that its cell starts at -7.5.

    Args:
        intervals: `(start, end)` of every axis: rows and columns of an image, and time, rows and columns of a clip.
    """

    intervals: tuple[tuple[float, float], ...]

    @classmethod
    def whole(cls, size: Sequence[int]) -> "Frame":
        """The frame that covers an input of this size."""
        return cls(tuple((0.0, float(side)) for side in size))

    def cell(self, pixel: Sequence[float], grid: Sequence[int]) -> tuple[int, ...]:
        """The cell of a grid that is nearest to the centre of a pixel, such as `(y, x)` or `(t, y, x)`."""
        places = (
            math.floor((at + 0.5 - start) * cells / (end - start))
            for at, cells, (start, end) in zip(pixel, grid, self.intervals, strict=True)
        )
        return tuple(min(max(place, 0), cells - 1) for place, cells in zip(places, grid, strict=True))

    def centre(self, cell: Sequence[int], grid: Sequence[int]) -> tuple[float, ...]:
        """The centre of a cell, in pixels: 0.5 is the centre of the first pixel."""
        return tuple(
            start + (end - start) * (at + 0.5) / cells
            for at, cells, (start, end) in zip(cell, grid, self.intervals, strict=True)
        )

    def contains(self, pixel: Sequence[float]) -> bool:
        """Whether the centre of a pixel lies within the intervals."""
        return all(start <= at + 0.5 < end for at, (start, end) in zip(pixel, self.intervals, strict=True))

    def scaled(self, factors: Sequence[float]) -> "Frame":
        """The same frame in other pixels, such as those of the photograph that was scaled to the input."""
        return Frame(tuple((start * by, end * by) for (start, end), by in zip(self.intervals, factors, strict=True)))
