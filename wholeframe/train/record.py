"""A recipe as JSON, and back: every part says of which type it is, since a recipe may choose among several."""

import dataclasses
from typing import Any

from wholeframe.data.sampling import Sampling
from wholeframe.models.build import Model
from wholeframe.train.recipe import SGD, AdamW, Clips, Cosine, Images, OneCycle, Recipe, Schedule, Steps

PARTS = (Recipe, Model, Images, Clips, Sampling, Schedule, AdamW, SGD, OneCycle, Steps, Cosine)
TYPES = {kind.__name__: kind for kind in PARTS}


def described(value: Any) -> Any:
    """What JSON can hold of a recipe."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: described(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    return value


def restored(value: Any) -> Any:
    """The recipe that was described. JSON has no tuples; a recipe has no lists."""
    if isinstance(value, list):
        return tuple(map(restored, value))
    if isinstance(value, dict):
        fields = {name: restored(part) for name, part in value.items()}
        return TYPES[fields.pop("type")](**fields) if fields.get("type") in TYPES else fields
    return value
