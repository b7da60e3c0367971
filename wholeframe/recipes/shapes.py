"""The embedded detection task of `wholeframe compare`: see `wholeframe.data.shapes`."""

from wholeframe.models.toy_detector import ToyDetectorConfig
from wholeframe.train.inputs.objects import Objects
from wholeframe.train.recipe import Recipe, Schedule
from wholeframe.train.tasks.detection import Detection

DATA = Objects(batch=16, flip=False, workers=0)


def small_detector(seed: int = 0) -> Recipe:
    """The small FCOS, bare; every training image is seen once."""
    return Recipe(
        model=ToyDetectorConfig(),
        data=DATA,
        schedule=Schedule(epochs=1, lr=4e-3, weight_decay=0.05, clip=1.0),
        task=Detection("boxes"),
        seed=seed,
    )
