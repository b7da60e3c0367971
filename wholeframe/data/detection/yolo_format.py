"""YOLO's format: a text file per image, with a line per object in fractions of the image's width and height.

class x_center y_center width height                                a box
class x1 y1 x2 y2 x3 y3 ...                                         a polygon
class x_center y_center width height  px py v  px py v ...          a box and keypoints, if data.yaml has `kpt_shape`
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wholeframe.data.detection.annotations import Account, Annotations, Instance, Picture, clipped
from wholeframe.data.images import image_size

IMAGES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
SPLITS = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}


@dataclass(frozen=True)
class YoloData:
    """What data.yaml says.

    Args:
        file: data.yaml.
        root: the folder that its paths start from.
        classes: names of the classes.
        splits: the folder or the list of images of each split.
        keypoints: numbers per object: how many keypoints, and 2 or 3 values for each of them; (0, 0) without.
    """

    file: Path
    root: Path
    classes: tuple[str, ...]
    splits: Mapping[str, Path]
    keypoints: tuple[int, int] = (0, 0)


def read_yaml(file: Path) -> YoloData:
    """Read data.yaml.

    Raises:
        ValueError: it is not YAML, or has no `names` or no `train`.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"'{file}' is not a YAML file that can be read ({error})") from error
    names = content.get("names") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(names, list | dict) or not names:
        raise ValueError(f"'{file}' has no `names` of classes, such as `names: [cat, dog]`")
    # `path` may be absolute, or start from the folder of the file; without it the other paths start there.
    root = (file.parent / str(content.get("path") or ".")).resolve()
    if not root.is_dir():
        root = file.parent.resolve()
    classes = names if isinstance(names, list) else [names[key] for key in sorted(names)]
    splits = {
        split: _place(root, content[word]) for split, words in SPLITS.items() for word in words if content.get(word)
    }
    if "train" not in splits:
        raise ValueError(f"'{file}' has no `train`, the folder or the list of the training images")
    count, values = content.get("kpt_shape") or (0, 0)
    return YoloData(file, root, tuple(map(str, classes)), splits, (int(count), int(values)))


def read_yolo(data: YoloData, split: str) -> Annotations:
    """Read the text files of a split. An image without a text file, or with an empty one, has no objects.

    Args:
        data: what data.yaml says.
        split: "train", "val" or "test".

    Returns:
        The images with their objects. Lines that cannot be used are left out, and counted by reason.

    Raises:
        ValueError: the split has no images.
    """
    place = data.splits[split]
    files = _images(place)
    if not files:
        raise ValueError(f"'{data.file}' gives '{place}' for {split}, where there are no images")
    account, pictures, number = Account(), [], 0
    for index, file in enumerate(files, start=1):
        width, height = image_size(file)
        labels = _labels(file)
        lines = labels.read_text(encoding="utf-8", errors="replace").splitlines() if labels.is_file() else []
        if not labels.is_file():
            account.add("image without a text file, taken as without objects", file.name)
        instances = []
        for row, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            number += 1
            instance = _instance(line, width, height, data, f"{labels.name} line {row}", account, number)
            if instance is not None:
                instances.append(instance)
        pictures.append(Picture(file, index, width, height, tuple(instances)))
    joints = tuple(f"keypoint {k}" for k in range(data.keypoints[0]))
    numbers = tuple(range(len(data.classes)))
    return Annotations(place, data.classes, tuple(pictures), numbers, joints, account)


def _place(root: Path, given: Any) -> Path:
    """The folder of a split. Exports of labelling tools write `../train/images` for `train/images`."""
    path = root / str(given[0] if isinstance(given, list) else given)
    if not path.exists() and str(given).startswith("../"):
        path = root / str(given).removeprefix("../")
    return path


def _images(place: Path) -> list[Path]:
    if place.is_file():
        lines = place.read_text(encoding="utf-8").splitlines()
        return [(place.parent / line.strip()).resolve() for line in lines if line.strip()]
    return sorted(file for file in place.rglob("*") if file.suffix.lower() in IMAGES)


def _labels(image: Path) -> Path:
    """The text file of an image: `.../labels/...` in place of the last `.../images/...`."""
    parts = list(image.with_suffix(".txt").parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts)


def _instance(
    line: str, width: int, height: int, data: YoloData, place: str, account: Account, number: int
) -> Instance | None:
    try:
        first, *rest = line.split()
        label, values = int(float(first)), [float(value) for value in rest]
    except ValueError:
        account.add("line that is not made of numbers, left out", place)
        return None
    if not 0 <= label < len(data.classes):
        account.add(f"class {label} of {len(data.classes)} (they count from 0), left out", place)
        return None
    joints, size = data.keypoints
    polygon = None
    if joints and len(values) == 4 + joints * size:
        x1, y1, x2, y2 = _corners(values[:4], width, height)
    elif len(values) == 4:
        x1, y1, x2, y2 = _corners(values, width, height)
    elif len(values) >= 6 and len(values) % 2 == 0 and not joints:
        polygon = tuple(value * (height if k % 2 else width) for k, value in enumerate(values))
        x1, y1, x2, y2 = min(polygon[0::2]), min(polygon[1::2]), max(polygon[0::2]), max(polygon[1::2])
    else:
        account.add(f"line of {len(values)} numbers after the class, left out", place)
        return None
    box = clipped((x1, y1, x2, y2), width, height)
    if box is None:
        account.add("box without area or outside its image, left out", place)
        return None
    return Instance(
        label=label + 1,
        box=box,
        segmentation=None if polygon is None else (polygon,),
        keypoints=_keypoints(values[4:], size, width, height) if joints and len(values) > 4 else None,
        area=_area(polygon) if polygon else (box[2] - box[0]) * (box[3] - box[1]),
        id=number,
    )


def _corners(values: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    x, y, w, h = values
    return (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height


def _keypoints(values: Sequence[float], size: int, width: int, height: int) -> tuple[tuple[float, float, int], ...]:
    """Without a visibility, a point at (0, 0) is not labelled."""
    points = []
    for start in range(0, len(values), size):
        x, y, *v = values[start : start + size]
        points.append((x * width, y * height, int(v[0]) if v else 2 * (x > 0 or y > 0)))
    return tuple(points)


def _area(polygon: Sequence[float]) -> float:
    """The shoelace formula."""
    xs, ys = polygon[0::2], polygon[1::2]
    return abs(sum(xs[k - 1] * ys[k] - xs[k] * ys[k - 1] for k in range(len(xs)))) / 2
