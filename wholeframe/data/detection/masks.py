"""Masks of objects: polygons and run-length encodings as pixels, by faster-coco-eval."""

from types import ModuleType

import numpy as np

from wholeframe.data.detection.annotations import Instance


def mask_of(instance: Instance, height: int, width: int) -> np.ndarray:
    """The pixels of an object, `(h, w)` uint8 of ones and zeros.

    Raises:
        ValueError: the object has no mask, or one of another size than the image.
    """
    if instance.segmentation is None:
        raise ValueError(f"annotation {instance.id} has a box and no mask")
    coder = mask_coder()
    given = instance.segmentation
    polygons = [list(polygon) for polygon in given] if isinstance(given, tuple) else dict(given)
    encoded = coder.frPyObjects(polygons, height, width)
    mask = coder.decode(coder.merge(encoded) if isinstance(encoded, list) else encoded)
    if mask.shape != (height, width):
        raise ValueError(
            f"the mask of annotation {instance.id} is of {mask.shape[1]} x {mask.shape[0]} pixels, and its image of "
            f"{width} x {height}"
        )
    return mask


def mask_coder() -> ModuleType:
    """faster-coco-eval's functions on run-length encodings. ValueError if it is not installed."""
    try:
        from faster_coco_eval.core import mask
    except ImportError as error:
        raise ValueError("masks need faster-coco-eval; install it with `uv sync --extra detect`") from error
    return mask
