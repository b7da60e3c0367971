"""COCO's evaluation: annotations and results -> precision and recall over thresholds, classes, sizes and limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wholeframe.data.detection.annotations import Annotations, Instance, Picture
from wholeframe.messages import counted, listed
from wholeframe.train.tasks.coco_encoding import Entry, Kind, checked_run_lengths, run_lengths

COCO_SIGMAS = {
    "nose": 0.026,
    **dict.fromkeys(("left_eye", "right_eye"), 0.025),
    **dict.fromkeys(("left_ear", "right_ear"), 0.035),
    **dict.fromkeys(("left_shoulder", "right_shoulder"), 0.079),
    **dict.fromkeys(("left_elbow", "right_elbow"), 0.072),
    **dict.fromkeys(("left_wrist", "right_wrist"), 0.062),
    **dict.fromkeys(("left_hip", "right_hip"), 0.107),
    **dict.fromkeys(("left_knee", "right_knee"), 0.087),
    **dict.fromkeys(("left_ankle", "right_ankle"), 0.089),
}
"""keypoint of a person -> its constant in OKS, see https://cocodataset.org/#keypoints-eval"""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Precision and recall in every condition; -1 where no object is counted.

    Args:
        precision: (thresholds, recalls, classes, sizes, limits), the best at this recall or a higher one.
        recall: (thresholds, classes, sizes, limits), of all detections.
        thresholds: of IoU, or of OKS for keypoints; 0.5 to 0.95.
        recalls: 0 to 1 in steps of 0.01.
        sizes: "all", "small", "medium", "large", by the area of the object.
        limits: how many detections of a class in an image are counted, best first.
    """

    precision: np.ndarray
    recall: np.ndarray
    thresholds: tuple[float, ...]
    recalls: np.ndarray
    sizes: tuple[str, ...]
    limits: tuple[int, ...]


def evaluate_results(
    annotations: Annotations, entries: Sequence[Entry], kind: Kind, sigmas: Sequence[float] | None = None
) -> Evaluation:
    """COCO's evaluation of one kind, by faster-coco-eval.

    Args:
        annotations: the objects.
        entries: results of this kind with image and category ids of the annotations, see `CocoResults.entries`.
        kind: "bbox" and "segm" compare by IoU, "keypoints" by OKS.
        sigmas: the constants of OKS, one for every keypoint; None takes those of COCO by name.

    Returns:
        Precision and recall; classes in the order of the annotations.

    Raises:
        ImportError: faster-coco-eval is not installed.
    """
    run_lengths()  # raises the error that says what to install
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(ground_truth(annotations, kind))
    found = truth.loadRes([dict(entry) for entry in entries])  # it writes into the results that it is given
    spreads = None
    if kind == "keypoints":
        spreads = list(sigmas) if sigmas is not None else [COCO_SIGMAS[name] for name in annotations.keypoints]
    evaluator = COCOeval_faster(truth, found, kind, kpt_oks_sigmas=spreads)
    evaluator.params.catIds = list(annotations.category_ids)  # for keypoints it would take only those with objects
    evaluator.evaluate()
    evaluator.accumulate()
    outcome: dict[str, Any] = evaluator.eval
    rank = np.argsort(np.argsort(annotations.category_ids))  # the evaluator sorts the categories by their ids
    return Evaluation(
        precision=np.asarray(outcome["precision"])[:, :, rank],
        recall=np.asarray(outcome["recall"])[:, rank],
        thresholds=tuple(round(float(value), 2) for value in evaluator.params.iouThrs),
        recalls=np.asarray(evaluator.params.recThrs),
        sizes=tuple(evaluator.params.areaRngLbl),
        limits=tuple(evaluator.params.maxDets),
    )


def refusal(annotations: Annotations, kind: Kind, sigmas: Sequence[float] | None = None) -> str | None:
    """Why this kind cannot be evaluated on these annotations; None if it can."""
    objects = [(picture, instance) for picture in annotations.pictures for instance in picture.instances]
    if all(instance.crowd for _, instance in objects):
        crowds = f", only {counted(len(objects), 'crowd')}, which an evaluation does not count" if objects else ""
        return f"'{annotations.source}' has no objects{crowds}"
    if kind == "segm":
        if without := sum(instance.segmentation is None for _, instance in objects):
            return f"{without} of the {counted(len(objects), 'object')} of '{annotations.source}' have no mask"
        for picture, instance in objects:
            if reason := _broken(instance.segmentation, picture):
                return f"the mask of annotation {instance.id} in {picture.file.name} {reason}"
    if kind == "keypoints":
        if not any(point[2] > 0 for _, instance in objects for point in instance.keypoints or ()):
            return f"no object of '{annotations.source}' has a labelled keypoint"
        if sigmas is None and (strange := [name for name in annotations.keypoints if name not in COCO_SIGMAS]):
            return (
                f"the keypoints {listed(strange)} of '{annotations.source}' are not among COCO's 17, so that their "
                f"spread is unknown; give sigmas=, a number for each of the {len(annotations.keypoints)} keypoints "
                "(COCO has 0.025 for an eye and 0.107 for a hip)"
            )
        if sigmas is not None and not (len(sigmas) == len(annotations.keypoints) and all(s > 0 for s in sigmas)):
            return (
                f"sigmas={list(sigmas)} is not a positive number for each of the {len(annotations.keypoints)} keypoints"
            )
    return None


def _broken(mask: object, picture: Picture) -> str | None:
    """Why run lengths are not a mask of this image; None for those that are, and for polygons."""
    if not isinstance(mask, Mapping):
        return None
    try:
        height, width = checked_run_lengths(mask)["size"]
    except ValueError as error:
        return f"has run lengths that cannot be decoded ({error})"
    if (height, width) != (picture.height, picture.width):
        return f"has {height} x {width} pixels, and the image {picture.height} x {picture.width}"
    return None


def ground_truth(annotations: Annotations, kind: Kind) -> dict[str, Any]:
    """Annotations as the content of a file of COCO.

    They are numbered from 1, because both evaluators take an object with the id 0 for one that was not found.
    """
    objects = [(picture, instance) for picture in annotations.pictures for instance in picture.instances]
    return {
        "images": [
            {"id": picture.id, "width": picture.width, "height": picture.height, "file_name": picture.file.name}
            for picture in annotations.pictures
        ],
        "categories": [
            {"id": number, "name": name}
            for number, name in zip(annotations.category_ids, annotations.classes, strict=True)
        ],
        "annotations": [
            {"id": number, **_object(picture, instance, kind, annotations)}
            for number, (picture, instance) in enumerate(objects, start=1)
        ],
    }


def _object(picture: Picture, instance: Instance, kind: Kind, annotations: Annotations) -> Entry:
    x1, y1, x2, y2 = instance.box
    entry: Entry = {
        "image_id": picture.id,
        "category_id": annotations.category_ids[instance.label - 1],
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": instance.area,
        "iscrowd": int(instance.crowd),
    }
    if kind == "segm":
        given = instance.segmentation
        entry["segmentation"] = (
            dict(given) if isinstance(given, Mapping) else [list(polygon) for polygon in given or ()]
        )
    if kind == "keypoints":
        points = instance.keypoints or ((0.0, 0.0, 0),) * len(annotations.keypoints)
        entry["keypoints"] = [value for point in points for value in point]
        entry["num_keypoints"] = sum(point[2] > 0 for point in points)
    return entry
