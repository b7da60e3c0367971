"""Videos as a recipe feeds them to a network: one random clip of each, or views of it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from wholeframe.data.video.clip_folder import open_clips
from wholeframe.data.video.crops import fixed_crops, random_crop
from wholeframe.data.video.csv_lists import TimeUnit
from wholeframe.data.video.dataset import ClipDataset, ViewDataset
from wholeframe.data.video.file import read_frames, video_info
from wholeframe.data.video.segments import ClipFolder, Segment
from wholeframe.data.video.views import PUBLISHED, Views
from wholeframe.train.loaders import Splits, refuse_batch
from wholeframe.train.recipe import Clips, Recipe


class Videos:
    """Videos under a recipe; see `source.Source`."""

    header: tuple[str, ...] = ("file", "start", "end")

    def __init__(self, path: Path, recipe: Recipe, *, videos: Path | None, unit: TimeUnit | None, strict: bool):
        assert isinstance(recipe.data, Clips)
        self.data, self.seed = recipe.data, recipe.seed
        self.folder = open_clips(
            path,
            videos=videos,
            unit=unit,
            window=self.data.window,
            test_fraction=self.data.test_fraction,
            seed=self.seed,
            strict=strict,
        )
        _refuse_labels(self.folder, recipe.labels)
        self.opened: list[ClipDataset | ViewDataset] = []

    @property
    def classes(self) -> tuple[str, ...]:
        return self.folder.classes

    def describe(self) -> str:
        return self.folder.describe()

    def splits(self) -> Splits:
        refuse_batch(self.folder.root, len(self.folder.train), "clips", self.data.batch)
        crop = random_crop(self.data.size, flip=self.data.flip)
        train = ClipDataset(self.folder, self.folder.train, self.data.sampling, crop)
        test = Middle(self)
        self.opened += [train, test.views]
        return Splits(train, test, self.classes, self.data, self.seed)

    def samples(self, split: str, views: Views) -> ViewDataset:
        crop = fixed_crops(self.data.size, crops=views.crops)
        viewed = ViewDataset(self.folder, self._segments(split), self.data.sampling, crop, clips=views.clips)
        self.opened.append(viewed)
        return viewed

    def failures(self) -> str:
        return "; ".join(filter(None, (opened.failures() for opened in self.opened)))

    def names(self, split: str) -> list[tuple[str, ...]]:
        return [_name(self.folder.root, segment) for segment in self._segments(split)]

    def _segments(self, split: str) -> tuple[Segment, ...]:
        return {"train": self.folder.train, "test": self.folder.test}[split]


def reader(data: Clips, views: Views | None) -> Callable[[Path], Tensor]:
    """From a whole video to its views `(v, 3, t, h, w)` uint8; VideoError if it does not decode."""
    views = views or PUBLISHED
    crop = fixed_crops(data.size, crops=views.crops)

    def read(file: Path) -> Tensor:
        info = video_info(file)
        region = crop.draw(info.height, info.width)
        clips = data.sampling.evenly(views.clips, info.frames)
        return torch.cat([crop.views(read_frames(file, clip, region=region, info=info)) for clip in clips])

    return read


class Middle:
    """The one view of each video that is tested after every epoch: the centre of the clip in its middle."""

    def __init__(self, videos: Videos):
        sampling = dataclasses.replace(videos.data.sampling, views="middle")
        crop = fixed_crops(videos.data.size)
        self.views = ViewDataset(videos.folder, videos.folder.test, sampling, crop)

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> tuple[Tensor, int | Tensor]:
        views, label = self.views[index]
        return views[0], label


def _name(root: Path, segment: Segment) -> tuple[str, ...]:
    file = segment.path.relative_to(root) if segment.path.is_relative_to(root) else segment.path
    times = ("" if time is None else f"{time:.3f}" for time in (segment.start, segment.end))
    return file.as_posix(), *times


def _refuse_labels(folder: ClipFolder, labels: str) -> None:
    if folder.multilabel and labels == "one":
        raise ValueError(
            f"a clip of '{folder.root}' may have any number of labels, and the recipe has one for each: give "
            "--labels many"
        )
    if not folder.multilabel and labels == "many":
        raise ValueError(
            f"a clip of '{folder.root}' has one label: give --labels one; or, where a list says when things happen, "
            "--window SECONDS to cut the videos into parts with the labels of their time (inf for whole videos)"
        )
