"""The embedded tasks of `wholeframe compare`: see `wholeframe.data.synthetic` and `wholeframe.data.synthetic_clips`."""

from wholeframe.data.synthetic_clips import FRAMES, SIDE
from wholeframe.data.video.sampling import Sampling
from wholeframe.models.build import ModelConfig
from wholeframe.train.inputs.clips import Clips
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


def small_clips(task: str, seed: int = 0) -> Recipe:
    """The small residual network for a task of clips, or for `gist` with images as clips of one frame; bare."""
    frames = FRAMES.get(task)
    clips = None if frames is None else Sampling(frames=frames, stride=1)
    return Recipe(
        model=ModelConfig(backbone="small_c2d", block=None, at=("layer3.4",)),
        data=Images(size=32, batch=16, workers=0)
        if clips is None
        else Clips(sampling=clips, size=SIDE, batch=16, flip=False, workers=0),
        schedule=Schedule(epochs=1, lr=4e-3, weight_decay=0.05, clip=1.0),
        seed=seed,
    )
