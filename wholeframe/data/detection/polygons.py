"""Polygons x1, y1, x2, y2, ...: their area, and the box around them."""

from collections.abc import Sequence

from wholeframe.data.detection.annotations import Box


def enclosed(polygon: Sequence[float]) -> float:
    """The area within a polygon, by the shoelace formula."""
    xs, ys = polygon[0::2], polygon[1::2]
    return abs(sum(xs[k - 1] * ys[k] - xs[k] * ys[k - 1] for k in range(len(xs)))) / 2


def box_around(polygons: Sequence[Sequence[float]]) -> Box:
    """The smallest box that holds all the polygons."""
    xs = [x for polygon in polygons for x in polygon[0::2]]
    ys = [y for polygon in polygons for y in polygon[1::2]]
    return min(xs), min(ys), max(xs), max(ys)
