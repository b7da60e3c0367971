"""Detections as COCO's results: collected image by image, with an account of what is left out; written and read."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import isfinite
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from wholeframe.data.detection.annotations import Account, Annotations, Picture
from wholeframe.messages import counted, listed, one_of

Kind = Literal["bbox", "segm", "keypoints"]
Entry = dict[str, Any]
Detection = Mapping[str, Tensor]

KINDS: tuple[Kind, ...] = ("bbox", "segm", "keypoints")
FIELDS: dict[Kind, str] = {"bbox": "bbox", "segm": "segmentation", "keypoints": "keypoints"}
"""kind -> the field of a result"""
TENSORS: dict[Kind, str] = {"bbox": "boxes", "segm": "masks", "keypoints": "keypoints"}
"""kind -> the tensor of a detection of torchvision"""


class CocoResults:
    """The detections in the images of a split, compressed, for one evaluation.

        results = CocoResults(annotations, ("bbox", "segm"))
        for picture, detection in ...:
            results.add(picture.id, detection)
        results.write(Path("boxes.json"), "bbox")

    A detection that no evaluator can count is left out and written down in `account`, with its image: a label that is
    not one of the classes, a score, box, mask or keypoints with NaN or infinity, a box with exchanged corners; and all
    detections of an image that the annotations do not list, or that was added before. Masks are run lengths at once,
    so that a full split fits into memory.

    Args:
        annotations: the images and classes.
        kinds: to collect: "bbox", "segm", "keypoints".

    Raises:
        ValueError: for an unknown kind, none at all, or annotations with the same id for two images.
        ImportError: faster-coco-eval, which encodes masks, is not installed.
    """

    def __init__(self, annotations: Annotations, kinds: Sequence[Kind] = ("bbox",)) -> None:
        for kind in kinds:
            one_of("kind", kind, KINDS)
        if not kinds:
            raise ValueError("kinds=() collects nothing; give some of 'bbox', 'segm', 'keypoints'")
        self.annotations = annotations
        self.kinds = tuple(kind for kind in KINDS if kind in kinds)
        self.account = Account()
        self.seen: set[int] = set()
        self._pictures = {picture.id: picture for picture in annotations.pictures}
        self._entries: dict[int, list[Entry]] = {number: [] for number in self._pictures}
        if len(self._pictures) < len(annotations.pictures):
            raise ValueError(
                f"'{annotations.source}' has {len(annotations.pictures)} images with {len(self._pictures)} different "
                "ids, and results name an image by its id; give every image its own"
            )

    # ---------------------------------------------------------------------------------------------------- collecting

    def add(self, image_id: int, detection: Detection) -> None:
        """Add the detections in an image, as torchvision's detectors return them.

        Args:
            image_id: `Picture.id`.
            detection: scores `(n,)`; labels `(n,)` from 1; and of the kinds: boxes `(n, 4)` with x1, y1, x2, y2 in
                pixels; masks `(n, 1, h, w)` or `(n, h, w)`, probabilities or bool, of the size of the image, of which
                a pixel above 0.5 is object; keypoints `(n, k, 3)` with x, y in pixels and a visibility, which no
                evaluation reads.

        Raises:
            ValueError: a tensor is absent, or of a shape or dtype other than these.
        """
        image_id = int(image_id)
        picture = self._pictures.get(image_id)
        if picture is None:
            count = counted(len(detection.get("scores", ())), "detection")
            self.account.add(
                "image that the annotations do not list, its detections left out", f"{count} in image {image_id}"
            )
        elif image_id in self.seen:
            self.account.add("image that is given twice, the later detections left out", _place(picture))
        else:
            self._add(picture, tensors_of(detection, picture, self.kinds, len(self.annotations.keypoints)))
            self.seen.add(image_id)

    def _add(self, picture: Picture, found: Mapping[str, Tensor]) -> None:
        categories = dict(enumerate(self.annotations.category_ids, start=1))
        rows = _rows(found)
        for label, row in zip(found["labels"].tolist(), rows, strict=True):
            if label in categories:
                self._keep({"image_id": picture.id, "category_id": categories[label], **row})
            else:
                known = f"the classes of the annotations have 1 to {len(categories)}"
                self.account.add(f"label {label}, where {known}, left out", _place(picture))

    def _keep(self, entry: Entry) -> None:
        """Keep a result of a known image and category, unless a number in it is not usable."""
        picture = self._pictures[entry["image_id"]]
        if reason := _fault(entry, picture):
            self.account.add(f"{reason}, left out", _place(picture))
            return
        if "keypoints" in entry and not any(entry["keypoints"]):
            self.account.add("detection whose keypoints are all 0, 0, 0, left out of keypoints", _place(picture))
            entry = {name: value for name, value in entry.items() if name != "keypoints"}
        self._entries[picture.id].append(entry)

    # ------------------------------------------------------------------------------------------------------- results

    def entries(self, kind: Kind) -> list[Entry]:
        """The results of one kind in COCO's format, in the order of the images.

        A result has the field of its kind alone, because both evaluators take the area of a result from its box if it
        has one, and then divide masks into small, medium and large ones by their boxes.

        Raises:
            ValueError: for a kind that was not collected.
        """
        one_of("kind", kind, self.kinds)
        fields = ("image_id", "category_id", FIELDS[kind], "score")
        found = chain.from_iterable(self._entries.values())
        return [{name: entry[name] for name in fields} for entry in found if FIELDS[kind] in entry]

    def by_picture(self) -> list[list[Entry]]:
        """The results with the fields of all kinds, for every image in the order of the annotations."""
        return [self._entries[picture.id] for picture in self.annotations.pictures]

    def write(self, file: Path, kind: Kind = "bbox") -> None:
        """Write a JSON list in COCO's format of results (https://cocodataset.org/#format-results).

        It has the image and category ids of the annotation file, boxes as x, y, width, height, and masks as run
        lengths. The file is written completely or not at all.

        Raises:
            ValueError: for a kind that was not collected.
        """
        part = file.with_name(f"{file.name}.part")
        part.write_text(json.dumps(self.entries(kind)), encoding="utf-8")
        part.replace(file)


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
    results = CocoResults(annotations, (kind,))
    results.seen.update(results._pictures)
    content = _content(file)
    for number, entry in enumerate(content, start=1):
        place = f"result {number} of '{file}'"
        _refuse_malformed(entry, place, kind, len(annotations.keypoints))
        if entry["image_id"] not in results._pictures:
            results.account.add("result of an image that the annotations do not list, left out", place)
        elif entry["category_id"] not in annotations.category_ids:
            results.account.add(f"category {entry['category_id']} that the annotations do not list, left out", place)
        else:
            results._keep({name: entry[name] for name in ("image_id", "category_id", FIELDS[kind], "score")})
    if content and not any(entry["image_id"] in results._pictures for entry in content):
        raise ValueError(
            f"none of the {counted(len(content), 'result')} of '{file}' is of an image of '{annotations.source}'; give "
            "the annotations of the same split"
        )
    return results


def run_lengths() -> ModuleType:
    """faster-coco-eval's masks as run lengths.

    Raises:
        ImportError: it is not installed.
    """
    try:
        from faster_coco_eval.core import mask
    except ImportError as error:
        raise ImportError(
            "COCO's scores and masks need faster-coco-eval, which is not installed: pip install 'wholeframe[detect]'"
        ) from error
    return mask


# ------------------------------------------------------------------------------------------- from tensors to results


def tensors_of(detection: Detection, picture: Picture, kinds: Iterable[Kind], joints: int) -> dict[str, Tensor]:
    """The labels, the scores and the tensors of the kinds, on the CPU; ValueError for those that do not fit."""
    place = _place(picture)
    needed = ("scores", "labels", *(TENSORS[kind] for kind in kinds))
    if absent := [name for name in needed if name not in detection]:
        raise ValueError(
            f"the detections in {place} have no {' and no '.join(absent)}; give {', '.join(needed)}, as torchvision's "
            "detectors return them"
        )
    found = {name: torch.as_tensor(detection[name]).detach().cpu() for name in needed}
    count = len(found["scores"]) if found["scores"].ndim else -1
    size = f"{picture.height}, {picture.width}"
    shapes: dict[str, tuple[str, list[tuple[int, ...]]]] = {
        "scores": ("(n,)", [(count,)]),
        "labels": ("(n,)", [(count,)]),
        "boxes": ("(n, 4)", [(count, 4)]),
        "masks": (
            f"(n, 1, {size}), the size of the image",
            [(count, 1, picture.height, picture.width), (count, picture.height, picture.width)],
        ),
        "keypoints": (f"(n, {joints}, 3), the keypoints of the annotations", [(count, joints, 3)]),
    }
    for name, tensor in found.items():
        wanted, allowed = shapes[name]
        if tuple(tensor.shape) not in allowed:
            raise ValueError(f"{name} in {place} have the shape {tuple(tensor.shape)}; give {wanted} for n detections")
    if found["labels"].is_floating_point() or found["labels"].dtype == torch.bool:
        raise ValueError(f"labels in {place} are {found['labels'].dtype}; give whole numbers from 1, such as int64")
    return found


def _rows(found: Mapping[str, Tensor]) -> list[Entry]:
    """The score and the fields of every detection."""
    rows: list[Entry] = [{"score": score} for score in found["scores"].tolist()]
    if "boxes" in found:
        for row, (x1, y1, x2, y2) in zip(rows, found["boxes"].tolist(), strict=True):
            row["bbox"] = [x1, y1, x2 - x1, y2 - y1]
    if "masks" in found:
        for row, mask in zip(rows, _encoded(found["masks"]), strict=True):
            row["segmentation"] = mask
    if "keypoints" in found:
        for row, points in zip(rows, found["keypoints"].flatten(1).tolist(), strict=True):
            row["keypoints"] = points
    return rows


def _encoded(masks: Tensor) -> list[Entry | None]:
    """Run lengths with counts as text; None for a mask with NaN."""
    masks = masks.flatten(0, -3) if masks.ndim == 4 else masks
    pixels = np.asfortranarray((masks > 0.5).permute(1, 2, 0).numpy().astype(np.uint8))
    codes = run_lengths().encode(pixels) if len(masks) else []
    unsound = masks.isnan().flatten(1).any(dim=1).tolist()
    return [None if nan else _as_text(code) for nan, code in zip(unsound, codes, strict=True)]


def _as_text(code: Mapping[str, Any]) -> Entry:
    counts = code["counts"]
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {"size": [int(side) for side in code["size"]], "counts": text}


def _fault(entry: Entry, picture: Picture) -> str | None:
    """Why a result cannot be counted; None if it can."""
    if not isfinite(entry["score"]):
        return "score that is NaN or infinite"
    if "bbox" in entry:
        if not all(map(isfinite, entry["bbox"])):
            return "box with NaN or infinity"
        if min(entry["bbox"][2:]) < 0:
            return "box whose second corner lies left of its first or above it"
    if "segmentation" in entry:
        mask = entry["segmentation"]
        if mask is None:
            return "mask with NaN"
        if mask["size"] != [picture.height, picture.width]:
            return "mask that has not the size of its image"
    if "keypoints" in entry and not all(map(isfinite, entry["keypoints"])):
        return "keypoints with NaN or infinity"
    return None


def _place(picture: Picture) -> str:
    return f"image {picture.id} ({picture.file.name})"


# ---------------------------------------------------------------------------------------------- from a file to results


def _content(file: Path) -> list[Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"there is no file '{file}'") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"'{file}' is not a JSON file that can be read ({error})") from error
    if not isinstance(content, list):
        annotations = isinstance(content, dict) and "annotations" in content
        what = "a file of annotations" if annotations else f"JSON of type {type(content).__name__}"
        raise ValueError(f"'{file}' is {what}; give a list of results, each with image_id, category_id and score")
    return content


def _refuse_malformed(entry: Any, place: str, kind: Kind, joints: int) -> None:
    """Raise ValueError for a result without the fields of its kind; write counts of a mask as text."""
    field = FIELDS[kind]
    needed = ("image_id", "category_id", "score", field)
    if not isinstance(entry, dict) or any(name not in entry for name in needed):
        absent = listed(name for name in needed if not isinstance(entry, dict) or name not in entry)
        raise ValueError(f"{place} has no {absent}; a result of the kind {kind!r} has {', '.join(needed)}")
    if not all(isinstance(entry[name], int) for name in ("image_id", "category_id")):
        raise ValueError(f"{place} has an image_id or a category_id that is not a whole number")
    if not isinstance(entry["score"], int | float):
        raise ValueError(f"{place} has the score {entry['score']!r}, which is not a number")
    if kind == "segm":
        entry[field] = _mask(entry[field], place)
    else:
        length = 4 if kind == "bbox" else 3 * joints
        given = entry[field]
        if not (
            isinstance(given, list) and len(given) == length and all(isinstance(value, int | float) for value in given)
        ):
            what = "x, y, width and height" if kind == "bbox" else f"x, y and visibility of {joints} keypoints"
            raise ValueError(f"{place} has a {field} that is not a list of {length} numbers: {what}")


def _mask(given: Any, place: str) -> Entry:
    """Run lengths with counts as text, which can be decoded."""
    if not (isinstance(given, dict) and {"size", "counts"} <= set(given)):
        raise ValueError(f"{place} has a segmentation without size and counts; a result has run lengths, not polygons")
    codec = run_lengths()
    try:
        height, width = given["size"]
        code = codec.frPyObjects(given, height, width) if isinstance(given["counts"], list) else given
        codec.decode(code)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{place} has run lengths that cannot be decoded ({error})") from error
    return _as_text(code)
