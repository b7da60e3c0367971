"""Where what is computed from several tensors lies: tensors in a row, and tensors element by element."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from wholeframe.explain.places import Dimension, Factor, Place, length, single


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
            if any(f.placed for f in dim) and length(dim) == shape[offset + k]:
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
    return offset >= 0 and all(length(dim) in (1, shape[offset + k]) for k, dim in enumerate(place.dims))
