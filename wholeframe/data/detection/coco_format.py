"""COCO's format: one JSON file with images, categories and annotations (https://cocodataset.org/#format-data)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wholeframe.data.detection.annotations import Account, Annotations, Instance, Picture, note_mixed_masks
from wholeframe.data.detection.coco_objects import Entry, instance_of
from wholeframe.data.detection.image_files import located
from wholeframe.data.detection.json_values import json_of, whole
from wholeframe.messages import listed, quoted, shown

TABLES = ("images", "annotations", "categories")
ABSENT = "image that is not on disk, left out"


def read_coco(file: Path, images: Path) -> Annotations:
    """Read a file of instances or of keypoints.

    Categories may have any numbers. What cannot be used is left out and counted by reason: an annotation of an image
    or a category that is not in the file, a box or a mask without area or outside its image, run lengths that do not
    fill it, keypoints of another number; an image that is not in the folder. Boxes that reach over the edge are cut
    there. Where two annotations have one number, the later one gets another. An absent area is that of the polygons,
    or of the box. Whether an image decodes, and has the annotated size, is seen when it is read.

    Args:
        file: the JSON file.
        images: the folder of the images.

    Returns:
        The images that can be used, with their objects.

    Raises:
        ValueError: the file is not of this format, is of another kind (captions, results), or none of its images or
            of its annotations can be used.
    """
    content = _content(file)
    account = Account()
    annotations = content["annotations"]
    used = {whole(entry.get("category_id")) for entry in annotations}
    categories = _categories(file, content["categories"], used, account)
    numbers = sorted(categories)
    labels = {number: index for index, number in enumerate(numbers, start=1)}
    keypoints = _keypoint_names(file, categories.values())
    pictures = _pictures(file, content["images"], images, account)
    known = {whole(entry.get("id")) for entry in content["images"]} - {None}
    found: dict[int, list[Instance]] = {number: [] for number in pictures}
    taken: set[int] = set()
    last = max((n for entry in annotations if (n := whole(entry.get("id"))) is not None), default=0)
    for entry in annotations:
        number, image = whole(entry.get("id")), whole(entry.get("image_id"))
        if image not in known:
            account.add("annotation of an image that the file does not list, left out", f"annotation {entry.get('id')}")
        if image is None or image not in pictures:
            continue  # An image that is left out is in the account.
        place = f"annotation {entry.get('id')} of {pictures[image].file.name}"
        category = whole(entry.get("category_id"))
        if category is None or category not in labels:
            account.add(f"category {entry.get('category_id')} that the file does not list, left out", place)
            continue
        instance = instance_of(entry, pictures[image], labels[category], len(keypoints), place, account)
        if instance is None:
            continue
        if number is None or number in taken:
            account.add("number of an annotation that is used twice or absent, replaced", place)
            last += 1
            instance = replace(instance, id=last)
        taken.add(instance.id)
        found[image].append(instance)
    if not annotations:
        account.add("file without any annotation", file.name)
    elif not taken:
        raise ValueError(f"none of the {len(annotations)} annotations of '{file}' can be used ({account})")
    complete = tuple(replace(picture, instances=tuple(found[number])) for number, picture in pictures.items())
    note_mixed_masks(complete, account)
    return Annotations(
        source=file,
        classes=tuple(categories[number]["name"] for number in numbers),
        pictures=complete,
        category_ids=tuple(numbers),
        keypoints=keypoints,
        account=account,
    )


def _content(file: Path) -> dict[str, list[Entry]]:
    content = json_of(file)
    if isinstance(content, list):
        results = bool(content) and isinstance(content[0], dict) and "score" in content[0]
        what = "a list of results, which has predictions and no images" if results else "a list"
        raise ValueError(f"'{file}' is {what}; give the file of the annotations, such as instances_train2017.json")
    tables: dict[str, Any] = content if isinstance(content, dict) else {}
    if absent := [name for name in TABLES if not isinstance(tables.get(name), list)]:
        kind = f" (it has {other})" if (other := _other_kind(tables.get("annotations"))) else ""
        raise ValueError(
            f"'{file}' has no {' and no '.join(absent)}{kind}, and a file of objects has images, annotations and "
            "categories; give such a file, such as instances_train2017.json"
        )
    for name in TABLES:
        if wrong := [entry for entry in tables[name] if not isinstance(entry, dict)]:
            raise ValueError(
                f"'{file}' has {shown(repr(wrong[0]))} among its {name}, where each entry is an object with fields"
            )
    if other := _other_kind(tables["annotations"]):
        raise ValueError(
            f"'{file}' has {other}, and no boxes; give a file of objects, such as instances_train2017.json"
        )
    return tables


def _other_kind(annotations: Any) -> str | None:
    """What the annotations have in place of boxes."""
    first = annotations[0] if isinstance(annotations, list) and annotations else None
    if not isinstance(first, dict) or "bbox" in first:
        return None
    kinds = {"caption": "captions", "segments_info": "panoptic segments"}
    return next((kind for field, kind in kinds.items() if field in first), None)


def _categories(file: Path, entries: Sequence[Entry], used: set[int | None], account: Account) -> dict[int, Entry]:
    """number -> category, without those that only group others."""
    categories: dict[int, Entry] = {}
    for entry in entries:
        number, name = whole(entry.get("id")), entry.get("name")
        if number is None or not isinstance(name, str) or not name.strip():
            raise ValueError(
                f"'{file}' has the category {shown(dict(entry))}, and a category has a number `id` and a `name`"
            )
        if number in categories:
            raise ValueError(
                f"'{file}' gives the number {number} to the categories {shown(categories[number]['name'])!r} and "
                f"{shown(name)!r}"
            )
        categories[number] = entry
    if not categories:
        raise ValueError(f"'{file}' lists no categories, so that its annotations have no names")
    for number in [number for number in categories if number not in used]:
        if _groups(categories[number], entries):
            account.add("category without annotations that groups others, left out", categories.pop(number)["name"])
        elif categories[number]["name"].strip("_").lower() == "background":  # as labelme writes it
            account.add("category of the background, left out", categories.pop(number)["name"])
    if not categories:
        raise ValueError(f"'{file}' lists no categories of objects ({account})")
    twice = [name for name, count in Counter(entry["name"] for entry in categories.values()).items() if count > 1]
    if twice:
        raise ValueError(f"'{file}' has several categories that are called {quoted(map(shown, twice))}; rename them")
    return categories


def _groups(category: Entry, entries: Sequence[Entry]) -> bool:
    """Whether a category is the group of other ones, as Roboflow writes it: `{"name": g, "supercategory": "none"}`."""
    others = [entry.get("supercategory") for entry in entries if entry is not category]
    return category.get("supercategory") == "none" and category["name"] in others


def _keypoint_names(file: Path, categories: Iterable[Entry]) -> tuple[str, ...]:
    named = [entry["keypoints"] for entry in categories if entry.get("keypoints")]
    for names in named:
        texts = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if not texts or len(set(names)) < len(names):
            raise ValueError(
                f"'{file}' has the keypoints {shown(names)} in a category, and these are a list of different names"
            )
    if any(names != named[0] for names in named):
        raise ValueError(
            f"the categories of '{file}' have different keypoints, and a detector here has one set of them"
        )
    return tuple(named[0]) if named else ()


def _pictures(file: Path, entries: Sequence[Entry], folder: Path, account: Account) -> dict[int, Picture]:
    pictures: dict[int, Picture] = {}
    absent: list[str] = []
    seen: set[int] = set()
    for entry in entries:
        number, name = whole(entry.get("id")), entry.get("file_name")
        if number is None or not isinstance(name, str):
            place = str(name or entry.get("id"))
            account.add("image without a whole number `id` or without a `file_name`, left out", place)
            continue
        if number in seen:
            account.add(f"number of an image that is used twice ({number}), the later image left out", name)
            continue
        seen.add(number)
        picture = _picture(entry, number, folder, account)
        if picture is None:
            absent.append(shown(name))
            continue
        pictures[number] = picture
    for path, count in Counter(picture.file for picture in pictures.values()).items():
        if count > 1:
            account.add("file that is listed as several images, each kept with its own objects", path.name)
    if not pictures and absent and list(account.cases) == [ABSENT]:
        raise ValueError(
            f"none of the {len(entries)} images of '{file}' (such as {listed(absent, most=2)}) is in the folder "
            f"'{folder}'"
        )
    if not pictures:
        reasons = f" ({account})" if account.cases else ""
        raise ValueError(f"none of the {len(entries)} images of '{file}' in '{folder}' can be used{reasons}")
    return pictures


def _picture(entry: Entry, number: int, folder: Path, account: Account) -> Picture | None:
    """The image of an entry; None if it cannot be used, which is then in the account."""
    name, width, height = entry["file_name"], whole(entry.get("width")), whole(entry.get("height"))
    if width is None or height is None or width < 1 or height < 1:
        account.add("image without a width and a height, left out", name)
        return None
    path, by_end = located(folder, name)
    if path is None:
        account.add(ABSENT, name)
        return None
    if by_end:
        account.add("path of an image that is another one in the folder, found by its end", name)
    return Picture(path, number, width, height)
