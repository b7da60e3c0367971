"""Photographs in one folder per class, as a recipe feeds them to a network."""

from pathlib import Path

from wholeframe.data.image_folder import Items, open_folder
from wholeframe.data.images import ImageDataset, transforms
from wholeframe.data.video.views import ONCE, Views
from wholeframe.train.loaders import Samples, Splits, folder_splits
from wholeframe.train.recipe import Images, Recipe


class Photographs:
    """A folder of photographs under a recipe; see `source.Source`."""

    header: tuple[str, ...] = ("file",)

    def __init__(self, path: Path, recipe: Recipe, *, strict: bool):
        assert isinstance(recipe.data, Images)
        if recipe.labels == "many":
            raise ValueError("photographs lie in the folder of their one class; labels='many' takes clips")
        self.data, self.seed = recipe.data, recipe.seed
        self.folder = open_folder(path, test_fraction=self.data.test_fraction, seed=self.seed, strict=strict)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.folder.classes

    def describe(self) -> str:
        return self.folder.describe()

    def splits(self) -> Splits:
        return folder_splits(self.folder, self.data, self.seed)

    def samples(self, split: str, views: Views) -> Samples:
        if views != ONCE:
            raise ValueError(f"--views {views} is for clips; a photograph is looked at once")
        return ImageDataset(self._items(split), transforms(self.data.size, train=False, shorter=self.data.shorter))

    def names(self, split: str) -> list[tuple[str, ...]]:
        return [(path.relative_to(self.folder.root).as_posix(),) for path, _ in self._items(split)]

    def failures(self) -> str:
        return ""

    def _items(self, split: str) -> Items:
        return {"train": self.folder.train, "test": self.folder.test}[split]
