"""What a recipe is fed with: a folder of photographs, or of videos."""

from pathlib import Path
from types import ModuleType
from typing import Protocol

from wholeframe.data.video.csv_lists import TimeUnit
from wholeframe.data.video.views import Views
from wholeframe.train.inputs.images import Photographs
from wholeframe.train.loaders import Samples, Splits
from wholeframe.train.recipe import Clips, Recipe


class Source(Protocol):
    """Data of either kind, opened and split into `train` and `test`."""

    header: tuple[str, ...]
    """what the columns of `names` are called"""

    @property
    def classes(self) -> tuple[str, ...]: ...

    def describe(self) -> str:
        """What is there, and everything that was left out."""
        ...

    def splits(self) -> Splits:
        """To train on, augmented, and to test on after every epoch."""
        ...

    def samples(self, split: str, views: Views) -> Samples:
        """Either split as a test sees it."""
        ...

    def failures(self) -> str:
        """What could not be read since, in a sentence; empty if nothing."""
        ...

    def names(self, split: str) -> list[tuple[str, ...]]:
        """What every sample is called."""
        ...


def videos_module() -> ModuleType:
    """`train.videos`, imported when it is needed: videos are decoded by an extra, which not everybody has.

    ValueError, with what to install, where it is not there.
    """
    try:
        from wholeframe.train.inputs import videos
    except ImportError as error:
        raise ValueError(str(error)) from error
    return videos


def open_source(
    path: Path, recipe: Recipe, *, videos: Path | None = None, unit: TimeUnit | None = None, strict: bool = False
) -> Source:
    """The photographs or the videos in a folder, whichever the recipe takes.

    videos: where the videos of a list are, if not beside it.
    unit: what the list counts its times in, if its columns do not say.

    ValueError for a folder that is no such thing, and for labels that are not those of the recipe.
    """
    if isinstance(recipe.data, Clips):
        return videos_module().Videos(path, recipe, videos=videos, unit=unit, strict=strict)
    if videos is not None or unit is not None:
        raise ValueError("--videos and --unit go with a list of videos, and this recipe is for photographs")
    return Photographs(path, recipe, strict=strict)
