"""The two embedded tasks of `wholeframe compare`: see `wholeframe.data.synthetic`."""

from wholeframe.models.build import ModelConfig
from wholeframe.train.inputs.images import Images
from wholeframe.train.recipe import Recipe, Schedule

DATA = Images(size=32, batch=32, workers=0)


def small_dense(seed: int = 0) -> Recipe:
    """The small dense network, bare; every training image is seen once."""
    return Recipe(
        model=ModelConfig(backbone="small_dense", block=None, at=("stage3",)),
        data=DATA,
        schedule=Schedule(epochs=1, lr=4e-3, weight_decay=0.05, clip=1.0),
        seed=seed,
    )
