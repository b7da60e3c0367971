"""COCO's standard figures: means of precision and recall in some of the conditions."""

from math import nan
from typing import NamedTuple

from wholeframe.train.tasks.coco_encoding import Kind
from wholeframe.train.tasks.coco_evaluation import Evaluation


class Figure(NamedTuple):
    """A mean over the conditions that it does not name."""

    of: str
    threshold: float | None = None
    size: str = "all"
    limit: int = -1  # the position in `Evaluation.limits`


_PRECISION = {
    "AP": Figure("precision"),
    "AP50": Figure("precision", 0.5),
    "AP75": Figure("precision", 0.75),
}
_BOXES = {
    **_PRECISION,
    **{f"AP{size[0]}": Figure("precision", size=size) for size in ("small", "medium", "large")},
    **{f"AR{most}": Figure("recall", limit=limit) for limit, most in enumerate((1, 10, 100))},
    **{f"AR{size[0]}": Figure("recall", size=size) for size in ("small", "medium", "large")},
}
_KEYPOINTS = {
    **_PRECISION,
    **{f"AP{size[0]}": Figure("precision", size=size) for size in ("medium", "large")},
    "AR": Figure("recall"),
    "AR50": Figure("recall", 0.5),
    "AR75": Figure("recall", 0.75),
    **{f"AR{size[0]}": Figure("recall", size=size) for size in ("medium", "large")},
}
FIGURES: dict[Kind, dict[str, Figure]] = {"bbox": _BOXES, "segm": _BOXES, "keypoints": _KEYPOINTS}
"""kind -> the figures of https://cocodataset.org/#detection-eval and #keypoints-eval, in their order"""


def mean_of(evaluation: Evaluation, figure: Figure, classes: slice | list[int]) -> float:
    """The mean where objects are counted; nan if there are none."""
    thresholds = slice(None) if figure.threshold is None else [evaluation.thresholds.index(figure.threshold)]
    size = evaluation.sizes.index(figure.size)
    values = evaluation.precision if figure.of == "precision" else evaluation.recall
    chosen = values[thresholds][..., classes, size, figure.limit]
    found = chosen[chosen > -1]
    return float(found.mean()) if found.size else nan
