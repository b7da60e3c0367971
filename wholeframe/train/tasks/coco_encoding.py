"""The tensors of a detector -> the fields of COCO's results."""

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from wholeframe.data.detection.annotations import Picture

Kind = Literal["bbox", "segm", "keypoints"]
Entry = dict[str, Any]
Detection = Mapping[str, Tensor]

KINDS: tuple[Kind, ...] = ("bbox", "segm", "keypoints")
FIELDS: dict[Kind, str] = {"bbox": "bbox", "segm": "segmentation", "keypoints": "keypoints"}
"""kind -> the field of a result"""
TENSORS: dict[Kind, str] = {"bbox": "boxes", "segm": "masks", "keypoints": "keypoints"}
"""kind -> the tensor in a detection of torchvision"""


def place_of(picture: Picture) -> str:
    """An image by its id and file, for messages."""
    return f"image {picture.id} ({picture.file.name})"


def rows_of(detection: Detection, picture: Picture, kinds: Iterable[Kind], joints: int) -> list[tuple[int, Entry]]:
    """The label of every detection in an image, and its score and fields; a mask with NaN is None.

    Raises:
        ValueError: a tensor is absent, or of another shape, dtype or range.
    """
    found = _tensors(detection, picture, kinds, joints)
    if not len(found["scores"]):
        return []
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
    return list(zip(found["labels"].tolist(), rows, strict=True))


def _tensors(detection: Detection, picture: Picture, kinds: Iterable[Kind], joints: int) -> dict[str, Tensor]:
    """The labels, the scores and the tensors of the kinds, on the CPU; ValueError for those that do not fit."""
    place = place_of(picture)
    needed = ("scores", "labels", *(TENSORS[kind] for kind in kinds))
    if absent := [name for name in needed if name not in detection]:
        raise ValueError(
            f"the detections in {place} have no {' and no '.join(absent)}; give {', '.join(needed)}, as torchvision's "
            "detectors return them"
        )
    found = {name: torch.as_tensor(detection[name]).detach().cpu() for name in needed}
    if not any(tensor.numel() for tensor in found.values()):
        return found  # Empty tensors may have any shape and dtype.
    count = len(found["scores"]) if found["scores"].ndim else 1
    size = (picture.height, picture.width)
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        "scores": ((count,),),
        "labels": ((count,),),
        "boxes": ((count, 4),),
        "masks": ((count, 1, *size), (count, *size)),
        "keypoints": ((count, joints, 3),),
    }
    for name, tensor in found.items():
        if tuple(tensor.shape) not in shapes[name]:
            raise ValueError(
                f"{name} of {count} detections in {place} have the shape {tuple(tensor.shape)}; give {shapes[name][0]}"
            )
    if found["labels"].is_floating_point() or found["labels"].dtype == torch.bool:
        raise ValueError(f"labels in {place} are {found['labels'].dtype}; give whole numbers from 1, such as int64")
    if "masks" in found and (outside := (found["masks"] < 0) | (found["masks"] > 1)).any():
        value = found["masks"][outside][0].item()
        raise ValueError(f"masks in {place} have the value {value:g}; give probabilities, from 0 to 1, or bool")
    return found


def _encoded(masks: Tensor) -> list[Entry | None]:
    """Run lengths of the pixels above 0.5; None for a mask with NaN."""
    masks = masks[:, 0] if masks.ndim == 4 else masks
    pixels = np.asfortranarray((masks > 0.5).permute(1, 2, 0).to(torch.uint8).numpy())
    unsound = masks.isnan().flatten(1).any(dim=1).tolist()
    return [None if nan else as_text(code) for nan, code in zip(unsound, run_lengths().encode(pixels), strict=True)]


def as_text(code: Mapping[str, Any]) -> Entry:
    """Run lengths whose counts are text, which JSON can hold, not bytes."""
    counts = code["counts"]
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {"size": [int(side) for side in code["size"]], "counts": text}


def checked_run_lengths(given: Mapping[str, Any]) -> Entry:
    """Run lengths of a file, with counts as text.

    Raises:
        ValueError: they cannot be decoded, which pycocotools answers with a crash or a wrong area.
        ImportError: faster-coco-eval is not installed.
    """
    codec = run_lengths()
    try:
        height, width = given["size"]
        code = codec.frPyObjects(dict(given), height, width) if isinstance(given["counts"], list) else dict(given)
        codec.decode(code)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise ValueError(str(error).partition("\n")[0]) from error
    return as_text(code)


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
