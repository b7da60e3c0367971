"""The objects that `wholeframe predict` finds, in files for machines: JSON, JSON lines and CSV."""

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from wholeframe.data.detection.masks import mask_coder
from wholeframe.explain.found import Found, class_name
from wholeframe.train.tasks.coco_encoding import as_text
from wholeframe.train.whole_files import replaced

SUFFIXES = (".json", ".jsonl", ".csv")
COLUMNS = ("file", "width", "height", "class", "score", "x1", "y1", "x2", "y2")


class ObjectAnswer(NamedTuple):
    """The objects in a file; or, without them, why there is no answer."""

    file: Path
    found: Found | None
    reason: str = ""


class Writer(Protocol):
    """Writes one answer."""

    def __call__(self, answer: ObjectAnswer) -> None: ...


@contextmanager
def objects_file(file: Path, classes: Sequence[str], keypoints: Sequence[str]) -> Iterator[Writer]:
    """Write the objects of every photograph.

    JSON is a list with an object per photograph: file, width, height, and `detections`, each with class, score, box
    (x1, y1, x2, y2 in pixels of the photograph) and, where the detector has them, mask (run lengths of COCO) and
    keypoints (of each name x, y and a score). JSON lines are the same objects, written as they come. CSV has a row per
    object, without mask and keypoints; of a photograph without objects one row without class. A photograph that was
    not read has `error`, or the class `not read`.

    Args:
        file: ends with `.json`, `.jsonl` or `.csv`.
        classes: the names of the classes; label k is `classes[k - 1]`.
        keypoints: the names of the keypoints; empty for a detector without them.
    """
    # Bytes of a file name that are not UTF-8 are written as escapes, so that every program can read the file.
    if file.suffix == ".json":
        images: list[dict[str, Any]] = []
        yield lambda answer: images.append(entry(answer, classes, keypoints))
        with replaced(file) as part:
            text = json.dumps(images, ensure_ascii=False, indent=1) + "\n"
            part.write_text(text, encoding="utf-8", errors="backslashreplace")
        return
    with file.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        rows = csv.writer(stream)

        def as_rows(answer: ObjectAnswer) -> None:
            rows.writerows(_rows(answer, classes))
            stream.flush()

        def as_line(answer: ObjectAnswer) -> None:
            stream.write(json.dumps(entry(answer, classes, keypoints), ensure_ascii=False) + "\n")
            stream.flush()

        if file.suffix == ".csv":
            rows.writerow(COLUMNS)
        yield as_rows if file.suffix == ".csv" else as_line


def entry(answer: ObjectAnswer, classes: Sequence[str], keypoints: Sequence[str]) -> dict[str, Any]:
    """The objects of one photograph as JSON."""
    found = answer.found
    if found is None:
        return {"file": str(answer.file), "error": answer.reason}
    detections: list[dict[str, Any]] = [
        {"class": class_name(label, classes), "score": score, "box": box}
        for label, score, box in zip(found.labels.tolist(), short(found.scores), short(found.boxes), strict=True)
    ]
    for index, detection in enumerate(detections):
        if found.masks is not None:
            detection["mask"] = run_lengths(found.mask(index))
        if found.keypoints is not None and found.keypoint_scores is not None:
            points = torch.cat([found.keypoints[index], found.keypoint_scores[index, :, None]], dim=1)
            detection["keypoints"] = dict(zip(keypoints, short(points), strict=True))
    return {"file": str(answer.file), "width": found.size[1], "height": found.size[0], "detections": detections}


def _rows(answer: ObjectAnswer, classes: Sequence[str]) -> Iterator[list[Any]]:
    found = answer.found
    if found is None:
        yield [answer.file, "", "", "not read", *[""] * 5]
        return
    first = [answer.file, found.size[1], found.size[0]]
    if not len(found):
        yield [*first, *[""] * 6]
    for label, score, box in zip(found.labels.tolist(), short(found.scores), short(found.boxes), strict=True):
        yield [*first, class_name(label, classes), score, *box]


def run_lengths(mask: Tensor) -> dict[str, Any]:
    """A mask `(h, w)` as run lengths of COCO, with counts as text, which JSON can hold."""
    return as_text(mask_coder().encode(np.asfortranarray(mask.to(torch.uint8).numpy())))


def short(numbers: Tensor) -> Any:
    """The numbers as nested lists, each with the fewest digits that give the same float32: 0.7, not 0.69999999."""
    if numbers.ndim:
        return [short(row) for row in numbers]
    return float(str(np.float32(numbers.item())))
