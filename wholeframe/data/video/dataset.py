"""Segments of videos as tensors, to train on (one random clip) and to test on (several views of each).

A file that opened well may still fail later: it is gone, or broken in the middle. No loader dies of it, and no label
goes with frames of another video: to train, the next segment is taken instead, with its own label; to test, the item
comes with the label -1. Which and how often is counted in memory that worker processes share, and `failures` says so.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from wholeframe.data.video.crops import Crop
from wholeframe.data.video.file import Backend, VideoError, VideoInfo, probe, read_frames
from wholeframe.data.video.sampling import Sampling
from wholeframe.data.video.segments import ClipFolder, Segment
from wholeframe.messages import listed

Target = int | Tensor
"""The index of the class; or, multi-label, a `(classes,)` float32 of ones and zeros."""


class ClipDataset(Dataset[tuple[Tensor, Target]]):
    """One random clip of each segment, `(3, t, h, w)` uint8, and its label; drawn from torch's generator.

    What a network takes is made of it where the network is: `normalised`.
    In a multi-label folder whose list says when things happen, a clip has the labels of the time it shows.

    Args:
        folder: where the classes are from, and whether there may be several labels.
        segments: what to read, such as `folder.train`.
        sampling: which frames.
        crop: what is seen of it, such as `random_crop(112)`.
        backend: what decodes, see `read_frames`.
    """

    def __init__(
        self,
        folder: ClipFolder,
        segments: Sequence[Segment],
        sampling: Sampling,
        crop: Crop,
        *,
        backend: Backend = "pyav",
    ):
        self.folder, self.segments, self.sampling = folder, tuple(segments), sampling
        self.crop = crop
        self.backend: Backend = backend
        self.failed = _shared_counts(self.segments)

    def __len__(self) -> int:
        return len(self.segments)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        for number in self._from(index):
            segment = self.segments[number]
            try:
                info = segment.info or probe(segment.path)
                first, total = frames_of(segment, info)
                indices = [first + frame for frame in self.sampling.random(total)]
                part = self.crop.draw(info.height, info.width)
                frames = read_frames(segment.path, indices, part=part, backend=self.backend, info=info)
            except (VideoError, OSError):
                self.failed[number] += 1
                continue
            return self.crop.views(frames), target(self.folder, _shown(segment, info, indices))
        raise ValueError(f"none of the {len(self)} clips of '{self.folder.root}' can be decoded any more")

    def _from(self, index: int) -> Iterator[int]:
        return ((index + step) % len(self) for step in range(len(self)))

    def failures(self) -> str:
        """What could not be read so far, in a sentence; empty if nothing."""
        return _failures(self.segments, self.failed, "the next clip was taken instead")


class ViewDataset(Dataset[tuple[Tensor, Target]]):
    """Several views of each segment, `(views, 3, t, h, w)` uint8: clips spread over it, times the crops of each.

    Args:
        folder: where the classes are from, and whether there may be several labels.
        segments: what to read, such as `folder.test`.
        sampling: which frames; `sampling.views` is the rule by which the clips are spread.
        crop: what is seen of each, such as `fixed_crops(112)`.
        clips: how many clips of each segment; papers take 10, with three crops of each or the full frame.
        backend: what decodes, see `read_frames`.
    """

    def __init__(
        self,
        folder: ClipFolder,
        segments: Sequence[Segment],
        sampling: Sampling,
        crop: Crop,
        *,
        clips: int = 1,
        backend: Backend = "pyav",
    ):
        if clips < 1:
            raise ValueError(f"clips={clips}: at least one has to be looked at; papers take 10")
        self.folder, self.segments, self.sampling = folder, tuple(segments), sampling
        self.crop, self.clips = crop, clips
        self.backend: Backend = backend
        self.failed = _shared_counts(self.segments)

    def __len__(self) -> int:
        return len(self.segments)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        segment = self.segments[index]
        try:
            info = segment.info or probe(segment.path)
            first, total = frames_of(segment, info)
            clips = self.sampling.evenly(self.clips, total)
            needed = sorted({frame for clip in clips for frame in clip})
            part = self.crop.draw(info.height, info.width)
            frames = read_frames(segment.path, [first + n for n in needed], part=part, backend=self.backend, info=info)
        except (VideoError, OSError):
            self.failed[index] += 1
            return self._nothing(segment), _no_label(self.folder)
        place = {frame: number for number, frame in enumerate(needed)}
        views = [self.crop.views(frames[[place[frame] for frame in clip]]) for clip in clips]
        return torch.cat(views), target(self.folder, segment.labels)

    def _nothing(self, segment: Segment) -> Tensor:
        shape = (segment.info.height, segment.info.width) if segment.info else (256, 256)
        black = torch.zeros(self.sampling.frames, 3, *shape, dtype=torch.uint8)
        return torch.cat([self.crop(black)] * self.clips)

    def failures(self) -> str:
        """What could not be read so far, in a sentence; empty if nothing."""
        return _failures(self.segments, self.failed, "it was left out of the score")


def frames_of(segment: Segment, info: VideoInfo) -> tuple[int, int]:
    """The first frame of a segment, and how many it has: one at least."""
    first = min(round((segment.start or 0.0) * info.fps), info.frames - 1)
    last = info.frames if segment.end is None else min(round(segment.end * info.fps), info.frames)
    return first, max(last - first, 1)


def target(folder: ClipFolder, labels: Sequence[int]) -> Target:
    """One label as a number, or any number of them as ones among zeros."""
    if not folder.multilabel:
        (label,) = labels
        return label
    hot = torch.zeros(len(folder.classes))
    hot[list(labels)] = 1
    return hot


def _shown(segment: Segment, info: VideoInfo, indices: Sequence[int]) -> Sequence[int]:
    """The labels of what a clip shows, from its first frame to its last."""
    if not segment.actions:
        return segment.labels
    start, end = min(indices) / info.fps, (max(indices) + 1) / info.fps
    return sorted({action.label for action in segment.actions if action.start < end and start < action.end})


def _no_label(folder: ClipFolder) -> Target:
    return torch.full((len(folder.classes),), -1.0) if folder.multilabel else -1


def _shared_counts(segments: Sequence[Segment]) -> Tensor:
    return torch.zeros(len(segments), dtype=torch.int32).share_memory_()


def _failures(segments: Sequence[Segment], failed: Tensor, consequence: str) -> str:
    if not failed.any():
        return ""
    numbers = failed.nonzero().flatten().tolist()
    named = listed(f"'{segments[number].path}' ({int(failed[number])} times)" for number in numbers)
    return f"{len(numbers)} of {len(segments)} clips could not be decoded, and {consequence}: {named}"
