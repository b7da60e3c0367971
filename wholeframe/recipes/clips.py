"""Your own videos: one folder per class, a list, or single files."""

from wholeframe.data.video.sampling import Sampling
from wholeframe.models.build import ModelConfig
from wholeframe.train.inputs.clips import Clips
from wholeframe.train.recipe import Recipe, Schedule


def small() -> Recipe:
    """A C2D ResNet-18 with one non-local block on clips of 16 frames, from scratch, for a CPU.

    wholeframe train clips --data DIR --out runs/clips
    """
    return Recipe(
        model=ModelConfig(backbone="c2d_r18_nl1", block=None),
        data=Clips(sampling=Sampling(frames=16, stride=4), size=112, colours="torchvision", batch=8),
        schedule=Schedule(epochs=25, lr=1e-3, weight_decay=0.05, clip=1.0),
    )
