"""How many predictions differ between two outputs of a network."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torchvision.ops import box_iou

SCORE, OVERLAP = 0.5, 0.5
"""an object is a detection with this score or a higher one; it is the same where label and half of the box agree"""


def changed(before: Any, after: Any, decide: Callable[[Any], Tensor] | None = None) -> tuple[int, int]:
    """The number of changed predictions, and the number of all.

    | output of the network             | predictions                                                   |
    |-----------------------------------|---------------------------------------------------------------|
    | `(b, classes)`                    | the largest logit of each sample                              |
    | `(b, classes, *grid)`             | the largest logit at each position                            |
    | a dict with such a tensor         | as `"out"` (torchvision) or `"logits"` (transformers)         |
    | a list of dicts with `boxes`      | objects of both outputs; one without a counterpart is changed |

    Args:
        before, after: the outputs.
        decide: makes a tensor of predictions of an output, for networks with other outputs.

    Raises:
        ValueError: for an output of another form.
    """
    if decide is not None:
        return _unequal(decide(before), decide(after))
    for key in ("out", "logits"):
        if isinstance(before, Mapping) and isinstance(before.get(key), Tensor):
            before, after = before[key], after[key]
    if isinstance(before, Tensor) and before.ndim >= 2 and before.shape[1] >= 2:
        return _unequal(before.argmax(dim=1), after.argmax(dim=1))
    if isinstance(before, list) and all(isinstance(each, Mapping) and "boxes" in each for each in before):
        pairs = [(_objects(a), _objects(b)) for a, b in zip(before, after, strict=True)]
        alone = sum(_without(a, b) + _without(b, a) for a, b in pairs)
        return alone, sum(len(a["labels"]) + len(b["labels"]) for a, b in pairs)
    form = f"a tensor {tuple(before.shape)}" if isinstance(before, Tensor) else f"a {type(before).__name__}"
    raise ValueError(
        f"the network returns {form}, which has no class to compare; give decide=, a function of the output that "
        "returns a tensor of predictions, such as decide=lambda output: output > 0"
    )


def _unequal(before: Tensor, after: Tensor) -> tuple[int, int]:
    return int((before != after).sum()), before.numel()


def _objects(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    sure = found["scores"] >= SCORE
    return {name: found[name][sure] for name in ("boxes", "labels")}


def _without(here: Mapping[str, Tensor], there: Mapping[str, Tensor]) -> int:
    """The number of objects here that have no counterpart there."""
    if not len(there["labels"]):
        return len(here["labels"])
    same = here["labels"][:, None] == there["labels"]
    return int((~(same & (box_iou(here["boxes"], there["boxes"]) >= OVERLAP)).any(dim=1)).sum())
