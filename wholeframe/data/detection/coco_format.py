"""COCO's format: one JSON file with images, categories and annotations (https://cocodataset.org/#format-data)."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wholeframe.data.detection.annotations import Account, Annotations, Instance, Picture, clipped
from wholeframe.messages import listed, quoted

Entry = Mapping[str, Any]

TABLES = ("images", "annotations", "categories")


def read_coco(file: Path, images: Path) -> Annotations:
    """Read a file of instances or of keypoints.

    Categories may have any numbers. What cannot be used is left out and counted by reason: an annotation of an image
    or a category that is not in the file, a box without area or outside its image, a mask without area, keypoints of
    another number, an image that is not on disk. Boxes that reach over the edge are cut there. Where two annotations
    have one number, the later one gets another.

    Args:
        file: the JSON file.
        images: the folder of the images.

    Returns:
        The images that are on disk, with their objects.

    Raises:
        ValueError: the file is not of this format, is of another kind (captions, results), or none of its images is in
            the folder.
    """
    content = _content(file)
    account = Account()
    categories = _categories(file, content["categories"])
    numbers = sorted(categories)
    labels = {number: index for index, number in enumerate(numbers, start=1)}
    keypoints = _keypoint_names(file, categories.values())
    pictures = _pictures(file, content["images"], images, account)
    known = {entry.get("id") for entry in content["images"]}
    found: dict[int, list[Instance]] = {number: [] for number in pictures}
    used: set[int] = set()
    last = max((n for entry in content["annotations"] if isinstance(n := entry.get("id"), int)), default=0)
    for entry in content["annotations"]:
        number, image = entry.get("id"), entry.get("image_id")
        if image not in known:
            account.add("annotation of an image that the file does not list, left out", f"annotation {number}")
            continue
        if image not in pictures:
            continue  # The image itself is in the account.
        place = f"annotation {number} of {pictures[image].file.name}"
        if entry.get("category_id") not in labels:
            account.add(f"category {entry.get('category_id')} that the file does not list, left out", place)
            continue
        instance = _instance(entry, pictures[image], labels, len(keypoints), place, account)
        if instance is None:
            continue
        if not isinstance(number, int) or number in used:
            account.add("number of an annotation that is used twice or absent, replaced", place)
            last += 1
            instance = replace(instance, id=last)
        used.add(instance.id)
        found[image].append(instance)
    if not content["annotations"]:
        account.add("file without any annotation", file.name)
    return Annotations(
        source=file,
        classes=tuple(categories[number]["name"] for number in numbers),
        pictures=tuple(replace(picture, instances=tuple(found[number])) for number, picture in pictures.items()),
        category_ids=tuple(numbers),
        keypoints=keypoints,
        account=account,
    )


def json_of(file: Path) -> Any:
    """The content of a JSON file. ValueError if there is none, or it cannot be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"there is no file '{file}'") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"'{file}' is not a JSON file that can be read ({error})") from error


def _content(file: Path) -> dict[str, list[Entry]]:
    content = json_of(file)
    if isinstance(content, list):
        results = bool(content) and isinstance(content[0], dict) and "score" in content[0]
        what = "a list of results, which has predictions and no images" if results else "a list"
        raise ValueError(f"'{file}' is {what}; give the file of the annotations, such as instances_train2017.json")
    tables = content if isinstance(content, dict) else {}
    if absent := [name for name in TABLES if not isinstance(tables.get(name), list)]:
        entries = tables.get("annotations")
        captions = isinstance(entries, list) and any(isinstance(e, dict) and "caption" in e for e in entries[:1])
        kind = " (it has captions)" if captions else ""
        raise ValueError(
            f"'{file}' has no {' and no '.join(absent)}{kind}, and a file of objects has images, annotations and "
            "categories; give such a file, such as instances_train2017.json"
        )
    for name in TABLES:
        if wrong := [entry for entry in tables[name] if not isinstance(entry, dict)]:
            raise ValueError(f"'{file}' has {wrong[0]!r} among its {name}, where each entry is an object with fields")
    return tables


def _categories(file: Path, entries: Sequence[Entry]) -> dict[int, Entry]:
    categories: dict[int, Entry] = {}
    for entry in entries:
        number, name = entry.get("id"), entry.get("name")
        if not isinstance(number, int) or not isinstance(name, str):
            raise ValueError(
                f"'{file}' has the category {dict(entry)!r}, and a category has a number `id` and a `name`"
            )
        if number in categories:
            raise ValueError(
                f"'{file}' gives the number {number} to the categories {categories[number]['name']!r} and {name!r}"
            )
        categories[number] = entry
    if not categories:
        raise ValueError(f"'{file}' lists no categories, so that its annotations have no names")
    twice = [name for name, count in Counter(entry["name"] for entry in categories.values()).items() if count > 1]
    if twice:
        raise ValueError(f"'{file}' has several categories that are called {quoted(twice)}; rename them")
    return categories


def _keypoint_names(file: Path, categories: Any) -> tuple[str, ...]:
    names = {tuple(entry["keypoints"]) for entry in categories if entry.get("keypoints")}
    if len(names) > 1:
        raise ValueError(
            f"the categories of '{file}' have different keypoints, and a detector here has one set of them"
        )
    return next(iter(names), ())


def _pictures(file: Path, entries: Sequence[Entry], folder: Path, account: Account) -> dict[int, Picture]:
    pictures: dict[int, Picture] = {}
    absent = []
    for entry in entries:
        number, name = entry.get("id"), entry.get("file_name")
        width, height = entry.get("width"), entry.get("height")
        if not isinstance(number, int) or not isinstance(name, str):
            account.add("image without a number `id` or without a `file_name`, left out", str(name or number))
        elif number in pictures:
            account.add(f"number of an image that is used twice ({number}), the later image left out", name)
        elif not (isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0):
            account.add("image without a width and a height, left out", name)
        elif not (folder / name).is_file():
            absent.append(name)
            account.add("image that is not on disk, left out", name)
        else:
            pictures[number] = Picture(folder / name, number, width, height)
    if not pictures:
        looked = f" (such as {listed(absent, most=2)})" if absent else ""
        raise ValueError(f"none of the {len(entries)} images of '{file}'{looked} is in the folder '{folder}'")
    return pictures


def _instance(
    entry: Entry, picture: Picture, labels: Mapping[int, int], joints: int, place: str, account: Account
) -> Instance | None:
    """The object of an annotation; None if it cannot be used, which is then in the account."""
    given = entry.get("bbox")
    if not (isinstance(given, list) and len(given) == 4 and all(isinstance(v, int | float) for v in given)):
        account.add("annotation without a box of four numbers, left out", place)
        return None
    x, y, w, h = map(float, given)
    box = clipped((x, y, x + w, y + h), picture.width, picture.height)
    if box is None:
        account.add("box without area or outside its image, left out", place)
        return None
    if any(abs(now - then) > 1 for now, then in zip(box, (x, y, x + w, y + h), strict=True)):
        account.add("box that reaches over the edge of its image, cut there", place)
    segmentation = _segmentation(entry.get("segmentation"))
    if segmentation is None and entry.get("segmentation"):
        account.add("mask without area (a polygon of fewer than three points), left out with its box", place)
        return None
    keypoints = _keypoints(entry.get("keypoints"), joints)
    if keypoints is None and entry.get("keypoints"):
        account.add(f"keypoints that are not {joints} times x, y and visibility, left out with the box", place)
        return None
    area = entry.get("area")
    return Instance(
        label=labels[entry["category_id"]],
        box=box,
        segmentation=segmentation,
        keypoints=keypoints,
        crowd=bool(entry.get("iscrowd", 0)),
        area=float(area) if isinstance(area, int | float) else (box[2] - box[0]) * (box[3] - box[1]),
        id=entry["id"] if isinstance(entry.get("id"), int) else 0,
    )


def _segmentation(given: Any) -> tuple[tuple[float, ...], ...] | Mapping[str, Any] | None:
    if isinstance(given, dict) and {"counts", "size"} <= set(given):
        return given
    if isinstance(given, list):
        polygons = [p for p in given if isinstance(p, list) and len(p) >= 6 and len(p) % 2 == 0]
        return tuple(tuple(map(float, polygon)) for polygon in polygons) or None
    return None


def _keypoints(given: Any, joints: int) -> tuple[tuple[float, float, int], ...] | None:
    if not isinstance(given, list) or len(given) != 3 * joints or not joints:
        return None
    triples = zip(given[0::3], given[1::3], given[2::3], strict=True)
    return tuple((float(x), float(y), int(v)) for x, y, v in triples)
