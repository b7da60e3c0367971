"""One line of a YOLO text file -> an object, or the reason why it is left out.

class x_center y_center width height                                a box
class x1 y1 x2 y2 x3 y3 ...                                         a polygon
class x_center y_center width height  px py v  px py v ...          a box and keypoints, if data.yaml has `kpt_shape`
"""

from collections.abc import Sequence

from wholeframe.data.detection.annotations import Account, Box, Instance, Keypoint, Picture, fitted, points_within
from wholeframe.data.detection.polygons import box_around, enclosed

LARGEST = 1.1
"""Fraction of an image above which an object is one in pixels, and its part within the image would be wrong."""


def instance_of(
    line: str, picture: Picture, classes: int, keypoints: tuple[int, int], number: int, place: str, account: Account
) -> Instance | None:
    """The object of a line; None if it cannot be used, which is then in the account.

    Args:
        line: numbers, with spaces between them.
        picture: its image.
        classes: how many there are.
        keypoints: how many an object has, and 2 or 3 values for each of them.
        number: of the object.
        place: the file and the line, for the account.
        account: takes what is left out or changed.
    """
    try:
        first, *values = map(float, line.split())
    except ValueError:
        account.add("line that is not made of numbers, left out", place)
        return None
    if not first.is_integer():
        account.add(f"class {first:g}, which is not a whole number, left out", place)
        return None
    label = int(first)
    if not 0 <= label < classes:
        account.add(f"class {first:.0f} of {classes} (they count from 0), left out", place)
        return None
    joints, size = keypoints
    width, height = picture.width, picture.height
    polygon, points = None, None
    if len(values) == 4 or (joints and len(values) == 4 + joints * size):
        box = _corners(values[:4], width, height)
        points = _keypoints(values[4:], size, width, height) if len(values) > 4 else []
    elif len(values) >= 6 and len(values) % 2 == 0 and not joints:
        polygon = tuple(value * (height if k % 2 else width) for k, value in enumerate(values))
        box, points = box_around([polygon]), []
    else:
        account.add(f"line of {len(values)} numbers after the class, left out", place)
        return None
    if points is None:
        account.add("keypoints with a visibility that is not 0, 1 or 2, or without a finite place, left out", place)
        return None
    if box[2] - box[0] > LARGEST * width or box[3] - box[1] > LARGEST * height:
        account.add("object that is larger than its image (a line has fractions from 0 to 1), left out", place)
        return None
    if polygon and not enclosed(polygon) > 0:  # nan is not above 0
        account.add("polygon without area, left out", place)
        return None
    cut = fitted(box, width, height, place, account)
    if cut is None:
        return None
    return Instance(
        label=label + 1,
        box=cut,
        segmentation=(polygon,) if polygon else None,
        keypoints=tuple(points_within(points, width, height, place, account)) or None,
        area=enclosed(polygon) if polygon else (cut[2] - cut[0]) * (cut[3] - cut[1]),
        id=number,
    )


def _corners(values: Sequence[float], width: int, height: int) -> Box:
    x, y, w, h = values
    return (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height


def _keypoints(values: Sequence[float], size: int, width: int, height: int) -> list[Keypoint] | None:
    """Without a visibility, a point at (0, 0) is not labelled. None for values that are not keypoints."""
    points = []
    for start in range(0, len(values), size):
        x, y, *v = values[start : start + size]
        visible = v[0] if v else 2 * (x > 0 or y > 0)
        if not (abs(x) < 1e6 and abs(y) < 1e6 and visible in (0, 1, 2)):
            return None
        points.append((x * width, y * height, int(visible)))
    return points
