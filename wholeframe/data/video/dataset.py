"""Segments of videos as tensors: one random clip of each for training, several views of each for evaluation.

A file that was readable when the folder was opened may fail later: it was deleted, or it is broken in the middle. That
neither stops a loader nor pairs a label with frames of another video. In training the next segment is read instead,
with its own label. In evaluation the item has the label -1. The failures are counted in memory that worker processes
share, and `failures` reports them.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from wholeframe.data.video.crops import Crop
from wholeframe.data.video.failures import Failures
from wholeframe.data.video.file import Backend, VideoError, VideoInfo, read_frames, video_info
from wholeframe.data.video.sampling import Sampling
from wholeframe.data.video.segments import ClipFolder, Segment

Target = int | Tensor
"""The index of the class; for a multi-label folder a `(classes,)` float32 of zeros and ones."""


class ClipDataset(Dataset[tuple[Tensor, Target]]):
    """One random clip of each segment with its label, drawn from torch's generator.

    An item is a `(3, t, h, w)` uint8 clip and a label; `normalised` converts the clip on the device of the network.
    In a multi-label folder whose list gives the times of actions, a clip has the labels of the time that it shows.

    Args:
        folder: the folder of the segments, for its classes and whether it is multi-label.
        segments: the segments to read, such as `folder.train`.
        sampling: which frames make a clip.
        crop: the part of a frame that the network sees, such as `random_crop(112)`.
        backend: the decoder, see `read_frames`.
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
        self.failed = Failures(self.segments)

    def __len__(self) -> int:
        return len(self.segments)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        for number in self._from(index):
            segment = self.segments[number]
            try:
                info = segment.info or video_info(segment.path)
                first, total = frames_of(segment, info)
                indices = [first + frame for frame in self.sampling.random(total)]
                region = self.crop.draw(info.height, info.width)
                frames = read_frames(segment.path, indices, region=region, backend=self.backend, info=info)
            except (VideoError, OSError) as error:
                self.failed.add(number, error)
                continue
            return self.crop.views(frames), target(self.folder, _shown(segment, info, indices))
        raise ValueError(
            f"none of the {len(self)} clips of '{self.folder.root}' can be decoded any more; "
            "were they moved or deleted?"
        )

    def _from(self, index: int) -> Iterator[int]:
        return ((index + step) % len(self) for step in range(len(self)))

    @property
    def labels(self) -> Tensor:
        """The labels of every segment: indices, or rows of ones and zeros."""
        return torch.stack([torch.as_tensor(target(self.folder, segment.labels)) for segment in self.segments])

    def name(self, index: int) -> str:
        """The file of a segment, for messages."""
        return f"'{self.segments[index].path}'"

    def failures(self) -> str:
        """The clips that could not be read so far, by reason, in one sentence; empty if there are none."""
        return self.failed.sentence("the next clip was taken instead")


class ViewDataset(Dataset[tuple[Tensor, Target]]):
    """Several views of each segment with its label: clips spread over the segment, times the crops of each clip.

    An item is a `(views, 3, t, h, w)` uint8 tensor and a label; the label is -1 (for a multi-label folder all -1) if
    the file does not decode.

    Args:
        folder: the folder of the segments, for its classes and whether it is multi-label.
        segments: the segments to read, such as `folder.val`.
        sampling: which frames make a clip; `sampling.views` is the rule by which the clips are spread.
        crop: the part of a frame that the network sees, such as `fixed_crops(112)`.
        clips: the number of clips of each segment; papers take 10, with three crops of each or the whole frame.
        backend: the decoder, see `read_frames`.

    Raises:
        ValueError: `clips` is below 1.
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
            raise ValueError(f"clips={clips} must be at least 1; papers take 10")
        self.folder, self.segments, self.sampling = folder, tuple(segments), sampling
        self.crop, self.clips = crop, clips
        self.backend: Backend = backend
        self.failed = Failures(self.segments)

    def __len__(self) -> int:
        return len(self.segments)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        segment = self.segments[index]
        try:
            info = segment.info or video_info(segment.path)
            first, total = frames_of(segment, info)
            clips = self.sampling.evenly(self.clips, total)
            needed = sorted({frame for clip in clips for frame in clip})
            region = self.crop.draw(info.height, info.width)
            indices = [first + frame for frame in needed]
            frames = read_frames(segment.path, indices, region=region, backend=self.backend, info=info)
        except (VideoError, OSError) as error:
            self.failed.add(index, error)
            return self._black(segment), _no_label(self.folder)
        position = {frame: number for number, frame in enumerate(needed)}
        views = [self.crop.views(frames[[position[frame] for frame in clip]]) for clip in clips]
        return torch.cat(views), target(self.folder, segment.labels)

    def _black(self, segment: Segment) -> Tensor:
        shape = (segment.info.height, segment.info.width) if segment.info else (256, 256)
        black = torch.zeros(self.sampling.frames, 3, *shape, dtype=torch.uint8)
        return torch.cat([self.crop(black)] * self.clips)

    def failures(self) -> str:
        """The clips that could not be read so far, by reason, in one sentence; empty if there are none."""
        return self.failed.sentence("it was left out of the score")


def frames_of(segment: Segment, info: VideoInfo) -> tuple[int, int]:
    """The first frame of a segment, and its number of frames, at least 1."""
    first = min(round((segment.start or 0.0) * info.fps), info.frames - 1)
    last = info.frames if segment.end is None else min(round(segment.end * info.fps), info.frames)
    return first, max(last - first, 1)


def target(folder: ClipFolder, labels: Sequence[int]) -> Target:
    """The label of a sample as `Target`: an index, or zeros and ones."""
    if not folder.multilabel:
        (label,) = labels
        return label
    hot = torch.zeros(len(folder.classes))
    hot[list(labels)] = 1
    return hot


def _shown(segment: Segment, info: VideoInfo, indices: Sequence[int]) -> Sequence[int]:
    """The labels that apply from the first to the last frame of a clip."""
    if not segment.actions:
        return segment.labels
    start, end = min(indices) / info.fps, (max(indices) + 1) / info.fps
    return sorted({action.label for action in segment.actions if action.start < end and start < action.end})


def _no_label(folder: ClipFolder) -> Target:
    return torch.full((len(folder.classes),), -1.0) if folder.multilabel else -1
