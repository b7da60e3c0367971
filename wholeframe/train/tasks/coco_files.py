"""Files of results, as COCO's evaluation server takes them, read with a check of every entry."""

from pathlib import Path
from typing import Any

from wholeframe.data.detection.annotations import Annotations
from wholeframe.data.detection.json_values import json_of
from wholeframe.messages import counted, listed
from wholeframe.train.tasks.coco_encoding import FIELDS, Entry, Kind, checked_run_lengths
from wholeframe.train.tasks.coco_results import CocoResults


def read_coco_results(file: Path, annotations: Annotations, kind: Kind = "bbox") -> CocoResults:
    """Read a JSON list in COCO's format of results.

    Results of unknown images and categories, and results with NaN, are left out and written down in `account`.

    Args:
        file: a list of objects with image_id, category_id, score, and bbox, segmentation (run lengths) or keypoints.
        annotations: the images and classes that the ids refer to.
        kind: the field that is read.

    Returns:
        The results; an image without any counts as an image in which nothing was found.

    Raises:
        ValueError: the file is not such a list, or a result has not the fields of its kind.
        ImportError: faster-coco-eval, which reads run lengths, is not installed.
    """
    results, field = CocoResults(annotations, (kind,)), FIELDS[kind]
    results.seen.update(results.pictures)
    content = _content(file)
    for number, entry in enumerate(content, start=1):
        place = f"result {number} of '{file}'"
        _refuse_malformed(entry, place, kind, len(annotations.keypoints))
        if entry["image_id"] not in results.pictures:
            results.account.add("result of an image that the annotations do not list, left out", place)
        elif entry["category_id"] not in annotations.category_ids:
            results.account.add(f"category {entry['category_id']} that the annotations do not list, left out", place)
        else:
            value = _mask(entry[field], place) if kind == "segm" else entry[field]
            known = {name: entry[name] for name in ("image_id", "category_id", "score")}
            results.keep({**known, field: value})
    if content and not any(entry["image_id"] in results.pictures for entry in content):
        raise ValueError(
            f"none of the {counted(len(content), 'result')} of '{file}' is of an image of '{annotations.source}'; give "
            "the annotations of the same split"
        )
    return results


def _content(file: Path) -> list[Any]:
    content = json_of(file)
    if not isinstance(content, list):
        annotations = isinstance(content, dict) and "annotations" in content
        what = "a file of annotations" if annotations else f"JSON of type {type(content).__name__}"
        raise ValueError(f"'{file}' is {what}; give a list of results, each with image_id, category_id and score")
    return content


def _refuse_malformed(entry: Any, place: str, kind: Kind, joints: int) -> None:
    """Raise ValueError for a result without the fields of its kind."""
    field = FIELDS[kind]
    needed = ("image_id", "category_id", "score", field)
    if not isinstance(entry, dict) or any(name not in entry for name in needed):
        absent = listed(name for name in needed if not isinstance(entry, dict) or name not in entry)
        raise ValueError(f"{place} has no {absent}; a result of the kind {kind!r} has {', '.join(needed)}")
    if not all(isinstance(entry[name], int) for name in ("image_id", "category_id")):
        raise ValueError(f"{place} has an image_id or a category_id that is not a whole number")
    if not isinstance(entry["score"], int | float):
        raise ValueError(f"{place} has the score {entry['score']!r}, which is not a number")
    if kind == "bbox" and not _numbers(entry[field], 4):
        raise ValueError(f"{place} has a bbox that is not a list of four numbers: x, y, width and height")
    if kind == "keypoints" and not _numbers(entry[field], 3 * joints):
        raise ValueError(f"{place} has not {3 * joints} numbers: x, y and visibility of {joints} keypoints")


def _numbers(given: Any, length: int) -> bool:
    return isinstance(given, list) and len(given) == length and all(isinstance(value, int | float) for value in given)


def _mask(given: Any, place: str) -> Entry:
    if not (isinstance(given, dict) and {"size", "counts"} <= set(given)):
        raise ValueError(f"{place} has a segmentation without size and counts; a result has run lengths, not polygons")
    try:
        return checked_run_lengths(given)
    except ValueError as error:
        raise ValueError(f"{place} has run lengths that cannot be decoded ({error})") from error
