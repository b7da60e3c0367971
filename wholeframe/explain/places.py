"""Where the elements of a tensor lie in the input of a network: an affine map of their indices, along every axis.

    centre along axis a of the input = origin_a + sum_k step_k * index_k    over the factors k of dimensions with axis a

A dimension is a product of factors, as tokens are of rows and columns. Operations change origins and steps (a
convolution), the order of factors (a permutation) or their grouping (a view). Indices along a factor without an axis,
such as channels, do not move the centre.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from wholeframe.explain.frame import Frame


@dataclass(frozen=True)
class Factor:
    """A part of a dimension: `size` indices, each `step` pixels along an axis of the input from the one before.

    With `inner`, it is a row of other elements (class tokens) before and after those of the inner factors.
    """

    size: int
    axis: int | None = None
    step: float = 0.0
    inner: "tuple[Factor, ...]" = ()
    before: int = 0

    @property
    def placed(self) -> bool:
        return self.axis is not None or bool(self.inner)


Dimension = tuple[Factor, ...]


@dataclass(frozen=True)
class Root:
    """The tensor that positions are counted in: the input itself, or regions that are cut out of it.

    `frames` say where its samples lie in the input, and `size` is their size in pixels of the root.
    """

    frames: tuple[Frame, ...]
    size: tuple[int, ...]
    regions: bool = False


class Located(NamedTuple):
    """A frame for every sample of a map; the axes of the input that its grid has; whether a sample is only a part."""

    frames: tuple[Frame, ...]
    axes: tuple[int, ...]
    parts: bool = False


@dataclass(frozen=True)
class Place:
    """Where a tensor's elements lie: the factors of each dimension, and the centre of the first element per axis."""

    root: Root
    dims: tuple[Dimension, ...]
    origin: tuple[float, ...]

    def located(self) -> "Located | None":
        """The grid of a map `(b, c, *grid)` in the input; None where it is not known.

        It is known where every dimension has one axis of the input, in their order, and the other axes are in the
        batch, as the frames of a clip that a network for images takes one by one, or windows.
        """
        grid, batch = [single(dim) for dim in self.dims[2:]], [f for f in self.dims[0] if f.placed]
        axes = tuple(f.axis for f in grid if f is not None and f.axis is not None)
        if len(axes) < len(grid) or list(axes) != sorted(set(axes)) or any(f.inner for f in batch):
            return None
        if {*axes} | {f.axis for f in batch} != set(range(len(self.origin))):
            return None
        if not batch:
            return Located(tuple(self._within(self.origin, frame) for frame in self.root.frames), axes)
        places = [self]
        for factor in self.dims[0]:
            places = [place.moved(factor.axis, k * factor.step) for place in places for k in range(factor.size)]
        return Located(tuple(place._within(place.origin, self.root.frames[0]) for place in places), axes, parts=True)

    def _within(self, origin: Sequence[float], frame: Frame) -> Frame:
        """The frame in the input of a grid whose first element has this centre in the root."""
        along = {f.axis: (1, f.step) for f in self.dims[0]}
        along |= {f.axis: (f.size, f.step) for dim in self.dims[2:] for f in dim}
        own = [(o - along[a][1] / 2, o + (along[a][0] - 0.5) * along[a][1]) for a, o in enumerate(origin)]
        return Frame(
            tuple(
                (start + (end - start) * a / side, start + (end - start) * b / side)
                for (start, end), (a, b), side in zip(frame.intervals, own, self.root.size, strict=True)
            )
        )

    def moved(self, axis: int | None, by: float) -> "Place":
        """The place with the first element `by` pixels further along an axis."""
        if axis is None or by == 0:
            return self
        return replace(self, origin=tuple(o + by * (a == axis) for a, o in enumerate(self.origin)))

    def with_dim(self, dim: int, factors: Dimension) -> "Place":
        return replace(self, dims=(*self.dims[:dim], factors, *self.dims[dim + 1 :]))


def root_place(root: Root, shape: Sequence[int], axes: Sequence[int]) -> Place:
    """The place of the root's own tensor, whose dimensions `axes` are those of the root."""
    dims = [(Factor(size),) for size in shape]
    for number, axis in enumerate(axes):
        dims[axis] = (Factor(shape[axis], number, 1.0),)
    return Place(root, tuple(dims), (0.5,) * len(axes))


def single(dim: Dimension) -> Factor | None:
    """The one factor of a dimension that is one axis of the input."""
    factors = [f for f in dim if f.size > 1 or f.placed]
    return factors[0] if len(factors) == 1 and factors[0].axis is not None else None


def resampled(place: Place, dim: int, size: int, ratio: float, shift: float) -> Place:
    """Along one dimension `size` elements, `ratio` old ones apart, the first `shift` old ones after the old first.

    Strides, windows, poolings, interpolations and slices are of this form. A dimension of tokens loses its place.
    """
    factor = single(place.dims[dim])
    if factor is None:
        unchanged = size == math.prod(f.size for f in place.dims[dim]) and ratio == 1 and shift == 0
        return place if unchanged else place.with_dim(dim, (Factor(size),))
    return place.moved(factor.axis, shift * factor.step).with_dim(
        dim, (Factor(size, factor.axis, factor.step * ratio),)
    )


def cut_out(place: Place, dim: int, start: int, size: int, step: int = 1) -> Place:
    """A slice of a dimension; of a row with other elements, the part with a place."""
    row = [f for f in place.dims[dim] if f.size > 1 or f.placed]
    if len(row) == 1 and row[0].inner and step == 1:
        inner, before = row[0].inner, row[0].before
        count = math.prod(f.size for f in inner)
        if start <= before and start + size >= before + count:
            rest = before - start
            whole = rest == 0 and size == count
            return place.with_dim(dim, inner if whole else (Factor(size, inner=inner, before=rest),))
    if start == 0 and step == 1 and size == math.prod(f.size for f in place.dims[dim]):
        return place
    return resampled(place, dim, size, step, start)


def mixed(place: Place, dim: int) -> Place:
    """The place of sums over a dimension: in the middle of its elements, along every axis that they move along.

    A patch of 2 x 2 cells that lies in the channels, as in the patch merging of Swin, has its centre between them.
    """
    for factor in place.dims[dim]:
        place = place.moved(factor.axis, factor.step * (factor.size - 1) / 2)
    return place


def reduced(place: Place, dims: int | Sequence[int], rank: int) -> Place:
    """Sums over dimensions, which are then gone, or have one element if the result has the same rank."""
    dims = [dims] if isinstance(dims, int) else dims
    for dim in dims:
        place = mixed(place, dim)
    gone = {dim % len(place.dims) for dim in dims} or set(range(len(place.dims)))
    kept = [(Factor(1),) if k in gone else dim for k, dim in enumerate(place.dims)]
    if rank < len(kept):
        kept = [dim for k, dim in enumerate(kept) if k not in gone]
    return replace(place, dims=tuple(kept))


def with_new_dim(place: Place, dim: int) -> Place:
    return replace(place, dims=(*place.dims[:dim], (Factor(1),), *place.dims[dim:]))


def permuted(place: Place, order: Sequence[int]) -> Place:
    return replace(place, dims=tuple(place.dims[dim] for dim in order))


def regrouped(place: Place, shape: Sequence[int]) -> Place | None:
    """A view: the same factors in the same order, in other dimensions; None where a factor does not divide."""
    queue = [factor for dim in place.dims for factor in dim][::-1]
    dims: list[Dimension] = []
    for size in shape:
        taken: list[Factor] = []
        while (missing := size // math.prod(f.size for f in taken)) > 1:
            if not queue:
                return None
            factor = queue.pop()
            if factor.size > missing:
                if factor.inner or factor.size % missing:
                    return None
                rest = factor.size // missing
                queue.append(replace(factor, size=rest))
                factor = replace(factor, size=missing, step=factor.step * rest)
            elif missing % factor.size:
                return None
            taken.append(factor)
        if size == 1 and queue and queue[-1].size == 1:
            taken.append(queue.pop())
        dims.append(_merged(taken) or (Factor(size),))
    return replace(place, dims=tuple(dims)) if all(f.size == 1 for f in queue) else None


def _merged(factors: Sequence[Factor]) -> Dimension:
    """Adjacent factors as one where they are evenly spaced."""
    merged: list[Factor] = []
    for factor in factors:
        last = merged[-1] if merged else None
        even = last is not None and not (last.inner or factor.inner) and last.axis == factor.axis
        if last is not None and even and math.isclose(last.step, factor.step * factor.size):
            merged[-1] = replace(factor, size=last.size * factor.size)
        elif factor.size > 1 or factor.placed:
            merged.append(factor)
    return tuple(merged)


def joined(places: Sequence[Place | None], sizes: Sequence[int], dim: int) -> Place | None:
    """Tensors one after the other along a dimension.

    A row of tokens keeps its place next to elements without one. Along channels, the elements lie in the middle of the
    places that they are joined from. Otherwise the dimension has a place only where the parts continue each other.
    """
    known = [place for place in places if place is not None]
    if not known:
        return None
    total = sum(sizes)
    placed = [k for k, place in enumerate(places) if place is not None and any(f.placed for f in place.dims[dim])]
    if not placed:
        if set(sizes) == {1} and len(known) == len(places) > 1 and (row := _row_of(known)):
            return known[0].with_dim(dim, (row,))
        most = max(sum(any(f.placed for f in d) for d in place.dims) for place in known)
        alike = [place for place in known if sum(any(f.placed for f in d) for d in place.dims) == most]
        return _centred(alike).with_dim(dim, (Factor(total),))
    if len(placed) == 1:
        place = places[placed[0]]
        assert place is not None
        inner, before = place.dims[dim], sum(sizes[: placed[0]])
        if len(inner) == 1 and inner[0].inner:
            inner, before = inner[0].inner, before + inner[0].before
        return place.with_dim(dim, (Factor(total, inner=inner, before=before),) if total > 1 else inner)
    first, factor = known[0], single(known[0].dims[dim])
    if factor is None or len(placed) != len(places):
        return first.with_dim(dim, (Factor(total),))
    at = first.origin[factor.axis or 0]
    for place, size in zip(known, sizes, strict=True):
        other = single(place.dims[dim])
        even = other is not None and other.axis == factor.axis and (size == 1 or math.isclose(other.step, factor.step))
        if not even or not math.isclose(place.origin[factor.axis or 0], at, abs_tol=1e-6):
            return first.with_dim(dim, (Factor(total),))
        at += size * factor.step
    return first.with_dim(dim, (replace(factor, size=total),))


def _row_of(places: Sequence[Place]) -> Factor | None:
    """Single elements as a row, such as frames: evenly spaced along one axis that none of them has already."""
    moves = [tuple(b - a for a, b in zip(p.origin, q.origin, strict=True)) for p, q in pairwise(places)]
    axes = [axis for axis, by in enumerate(moves[0]) if by]
    even = all(math.isclose(a, b, abs_tol=1e-6) for move in moves for a, b in zip(move, moves[0], strict=True))
    if len(axes) != 1 or not even or any(axes[0] in axes_of(dim) for dim in places[0].dims):
        return None
    return Factor(len(places), axes[0], moves[0][axes[0]])


def _centred(places: Sequence[Place]) -> Place:
    """The first place, in the middle of all."""
    ends = [(min(o), max(o)) for o in zip(*(place.origin for place in places), strict=True)]
    return replace(places[0], origin=tuple((low + high) / 2 for low, high in ends))


def broadcast(places: Sequence[Place], shape: Sequence[int]) -> Place | None:
    """The place of what is computed element by element: along each dimension, that of the first tensor that has one.

    None where a tensor has other sizes, so that it is not computed element by element.
    """
    fitting = [place for place in places if _fits(place, shape) and place.root == places[0].root]
    if not fitting:
        return None
    dims: list[Dimension] = [(Factor(size),) for size in shape]
    origin = list(fitting[0].origin)
    for place in fitting[::-1]:  # The first tensor comes last and so decides.
        offset = len(shape) - len(place.dims)
        for k, dim in enumerate(place.dims):
            if any(f.placed for f in dim) and math.prod(f.size for f in dim) == shape[offset + k]:
                dims[offset + k] = dim
                for axis in axes_of(dim):
                    origin[axis] = place.origin[axis]
    return Place(fitting[0].root, tuple(dims), tuple(origin))


def axes_of(dim: Dimension) -> set[int]:
    """The axes of the input along which the indices of a dimension move."""
    own = {factor.axis for factor in dim if factor.axis is not None}
    return own.union(*(axes_of(factor.inner) for factor in dim))


def _fits(place: Place, shape: Sequence[int]) -> bool:
    """Whether a tensor broadcasts to this shape."""
    offset = len(shape) - len(place.dims)
    return offset >= 0 and all(
        math.prod(f.size for f in dim) in (1, shape[offset + k]) for k, dim in enumerate(place.dims)
    )
