"""Videos under a recipe: one random clip of each to train on, fixed views of each to evaluate. Needs PyAV."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms import v2

from wholeframe.data.video.clip_folder import open_clips
from wholeframe.data.video.crops import Crop, fixed_crops, random_crop
from wholeframe.data.video.dataset import ClipDataset, ViewDataset
from wholeframe.data.video.file import read_frames, video_info
from wholeframe.data.video.segments import ClipFolder, Segment
from wholeframe.data.video.views import PUBLISHED, Views
from wholeframe.train.evaluate import MatchedByName
from wholeframe.train.inputs.clips import ClipLocation, Clips
from wholeframe.train.inputs.unread import TOLERATED, refuse_unread, unread
from wholeframe.train.loaders import Splits, batches_of, of_split, refuse_batch
from wholeframe.train.tasks import Task


def open_videos(data: Clips, location: ClipLocation, task: Task, seed: int, whole: bool) -> "VideoInputs":
    """See `Clips.open`."""
    folder = open_clips(
        location.path,
        videos=location.videos,
        unit=location.unit,
        rate=location.rate,
        window=data.window,
        val_fraction=None if whole else data.val_fraction,
        seed=seed,
        strict=location.strict,
    )
    _refuse_labels(folder, task.labels)
    return VideoInputs(folder, data, seed, location.tolerate)


class VideoInputs(MatchedByName):
    """Videos under a recipe; see `wholeframe.train.inputs.Inputs`."""

    header: tuple[str, ...] = ("file", "start", "end")

    def __init__(self, folder: ClipFolder, data: Clips, seed: int, tolerate: float = TOLERATED):
        self.folder, self.data, self.seed, self.tolerate = folder, data, seed, tolerate
        self.opened: list[ClipDataset | ViewDataset] = []

    @property
    def classes(self) -> tuple[str, ...]:
        return self.folder.classes

    def describe(self) -> str:
        return self.folder.describe()

    @property
    def divided(self) -> bool:
        return self.folder.divided

    def splits(self) -> Splits:
        refuse_batch(self.folder.root, len(self.folder.train), "clips", self.data.batch)
        crop = _augmented(random_crop(self.data.size, flip=self.data.flip), self.data)
        train = ClipDataset(self.folder, self.folder.train, self.data.sampling, crop)
        val = Middle(self.folder, self.data)
        self.opened += [train, val.views]
        return Splits(train, val, self.classes, self.data, self.seed)

    def batches(self, split: str, views: Views | None) -> DataLoader:
        views = views or PUBLISHED
        crop = fixed_crops(self.data.size, crops=views.crops)
        viewed = ViewDataset(self.folder, self._segments(split), self.data.sampling, crop, clips=views.clips)
        self.opened.append(viewed)
        # One video at a time: whole frames of different videos differ in shape.
        return batches_of(viewed, self.data, self.seed, batch=1)

    def refuse_unread(self) -> None:
        refuse_unread(self.folder.root, self.folder.lost, self._total(), "clips", self.tolerate)

    def failures(self) -> str:
        before = unread(self.folder.lost, self._total(), "clips")
        return "; ".join(filter(None, (before, *(opened.failures() for opened in self.opened))))

    def names(self, split: str) -> list[tuple[str, ...]]:
        return [_name(self.folder.root, segment) for segment in self._segments(split)]

    def samples(self) -> list[tuple[str, str, str]]:
        splits = {"train": self.folder.train, "val": self.folder.val, "test": self.folder.test}
        return [(split, *self._sample(segment)) for split, segments in splits.items() for segment in segments]

    def left_out(self) -> list[tuple[str, str]]:
        return self.folder.left_out()

    def _sample(self, segment: Segment) -> tuple[str, str]:
        """The file with the times of its part, and the labels with theirs."""
        name = " ".join(filter(None, _name(self.folder.root, segment)))
        if segment.actions:
            return name, ";".join(f"{self.classes[a.label]} {a.start:.3f} {a.end:.3f}" for a in segment.actions)
        return name, ";".join(self.classes[label] for label in segment.labels)

    def _segments(self, split: str) -> tuple[Segment, ...]:
        return of_split(self.folder, split)

    def _total(self) -> int:
        return len(self.folder.all) + len(self.folder.lost)


def reader(data: Clips, views: Views) -> Callable[[Path], Tensor]:
    """A function from a whole video to its views, `(v, 3, t, h, w)` uint8; VideoError if it does not decode."""
    crop = fixed_crops(data.size, crops=views.crops)

    def read(file: Path) -> Tensor:
        info = video_info(file)
        region = crop.draw(info.height, info.width)
        clips = data.sampling.evenly(views.clips, info.frames)
        return torch.cat([crop.views(read_frames(file, clip, region=region, info=info)) for clip in clips])

    return read


class Middle:
    """The one view of each video that every epoch is validated on: the centre of the clip in its middle."""

    def __init__(self, folder: ClipFolder, data: Clips):
        sampling = dataclasses.replace(data.sampling, views="middle")
        self.views = ViewDataset(folder, folder.val, sampling, fixed_crops(data.size))

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
    if folder.multilabel and labels != "many":
        raise ValueError(
            f"a clip of '{folder.root}' may have any number of labels, and the recipe allows one per clip; give "
            "--labels many"
        )
    if not folder.multilabel and labels != "one":
        raise ValueError(
            f"a clip of '{folder.root}' has one label, and the recipe is for labels={labels!r}; give --labels one; or, "
            "where a list gives the times of its labels, --window SECONDS to cut the videos into parts with all labels "
            "of their time (inf for whole videos)"
        )


def _augmented(crop: Crop, data: Clips) -> Crop:
    """The crop of a training clip, followed by RandAugment if the recipe has it."""
    if not data.randaugment:
        return crop
    return Crop(crop.draw, partial(_operated, crop.views, v2.RandAugment(data.randaugment, data.magnitude)))


def _operated(views: Callable[[Tensor], Tensor], operations: v2.RandAugment, frames: Tensor) -> Tensor:
    """The clip `(3, t, h, w)` of some frames, after operations that are the same for all of them."""
    video = tv_tensors.Video(views(frames).transpose(0, 1))
    return operations(video).as_subclass(Tensor).transpose(0, 1).contiguous()
