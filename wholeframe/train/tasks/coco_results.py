"""Detections as COCO's results, collected image by image, with an account of those that are left out."""

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from wholeframe.data.detection.annotations import Account, Annotations, Picture
from wholeframe.messages import counted, one_of
from wholeframe.train.tasks.coco_encoding import FIELDS, KINDS, Detection, Entry, Kind, place_of, rows_of


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
    """

    def __init__(self, annotations: Annotations, kinds: Sequence[Kind] = ("bbox",)) -> None:
        for kind in kinds:
            one_of("kind", kind, KINDS)
        if not kinds:
            raise ValueError("kinds=() collects nothing; give some of 'bbox', 'segm', 'keypoints'")
        self.annotations = annotations
        self.kinds: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind in kinds)
        self.account = Account()
        self.seen: set[int] = set()
        self.pictures = {picture.id: picture for picture in annotations.pictures}
        self._entries: dict[int, list[Entry]] = {number: [] for number in self.pictures}
        if len(self.pictures) < len(annotations.pictures):
            raise ValueError(
                f"'{annotations.source}' has {len(annotations.pictures)} images with {len(self.pictures)} different "
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
            ValueError: a tensor is absent, or of another shape, dtype or range.
            ImportError: faster-coco-eval, which encodes masks, is not installed.
        """
        image_id = int(image_id)
        picture = self.pictures.get(image_id)
        if picture is None:
            count = counted(len(detection.get("scores", ())), "detection")
            self.account.add(
                "image that the annotations do not list, its detections left out", f"{count} in image {image_id}"
            )
        elif image_id in self.seen:
            self.account.add("image that is given twice, the later detections left out", place_of(picture))
        else:
            self.add_rows(picture, rows_of(detection, picture, self.kinds, len(self.annotations.keypoints)))

    def add_rows(self, picture: Picture, rows: Iterable[tuple[int, Entry]]) -> None:
        """Add the detections in an image, as `rows_of` gives them: the label, the score and the fields of each."""
        self.seen.add(picture.id)
        categories = dict(enumerate(self.annotations.category_ids, start=1))
        for label, row in rows:
            if label in categories:
                self.keep({"image_id": picture.id, "category_id": categories[label], **row})
            else:
                known = f"the classes of the annotations have 1 to {len(categories)}"
                self.account.add(f"label {label}, where {known}, left out", place_of(picture))

    def keep(self, entry: Entry) -> None:
        """Keep a result of a known image and category, unless a number in it is not usable."""
        picture = self.pictures[entry["image_id"]]
        if reason := _fault(entry, picture):
            self.account.add(f"{reason}, left out", place_of(picture))
            return
        if "keypoints" in entry and not any(entry["keypoints"]):
            self.account.add("detection whose keypoints are all 0, 0, 0, left out of keypoints", place_of(picture))
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


def _fault(entry: Entry, picture: Picture) -> str | None:
    """Why a result cannot be counted; None if it can."""
    if not _finite([entry["score"]]):
        return "score that is NaN or infinite"
    if "bbox" in entry:
        if not _finite(entry["bbox"]):
            return "box with NaN or infinity"
        if min(entry["bbox"][2:]) < 0:
            return "box whose second corner lies left of its first or above it"
    if "segmentation" in entry:
        mask = entry["segmentation"]
        if mask is None:
            return "mask with NaN"
        if mask["size"] != [picture.height, picture.width]:
            return "mask that has not the size of its image"
    if "keypoints" in entry and not _finite(entry["keypoints"]):
        return "keypoints with NaN or infinity"
    return None


def _finite(values: Sequence[float]) -> bool:
    """Whether all are numbers that a float holds; a JSON file may have whole numbers of any length."""
    return all(-1e300 < value < 1e300 for value in values)  # False for NaN as well
