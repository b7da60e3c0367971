"""Labelled parts of videos, and the folder that holds those of each split."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from wholeframe.data.splits import sizes
from wholeframe.data.video.file import VideoInfo
from wholeframe.messages import counted, in_quotes, listed, shown


class Action(NamedTuple):
    """A label that applies from `start` to `end`, in seconds."""

    label: int
    start: float
    end: float


@dataclass(frozen=True)
class Segment:
    """A part of a video, with its labels.

    Attributes:
        path: the file.
        start: where it begins, in seconds from the first frame; None for the beginning of the video.
        end: where it ends, in seconds from the first frame; None for the end of the video.
        labels: indices into `ClipFolder.classes`, ascending; exactly one unless the folder is `multilabel`.
        actions: when each label applies, if the list says so. A clip from the segment then has the labels of the time
            that it shows.
        info: the `video_info` of the file, if it has been read.
    """

    path: Path
    start: float | None = None
    end: float | None = None
    labels: tuple[int, ...] = ()
    actions: tuple[Action, ...] = field(default=(), repr=False)
    info: VideoInfo | None = field(default=None, repr=False)


@dataclass(frozen=True)
class LeftOut:
    """A file, or a line of a list, that cannot be used."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"'{shown(self.name)}' ({shown(self.reason)})"


def reasons(left_out: Sequence[LeftOut]) -> tuple[tuple[str, str], ...]:
    """As pairs of a name and a reason."""
    return tuple((each.name, each.reason) for each in left_out)


@dataclass(frozen=True)
class ClipFolder:
    """The segments that `open_clips` found in each split, and everything that it left out.

    Attributes:
        root: the folder or the list that was opened.
        classes: the names of the classes.
        train: the segments to train on.
        val: the segments to validate on while training.
        test: the segments for the final test; empty unless there are train, val and test.
        multilabel: whether a segment may have any number of labels.
        problems: files that do not decode, and lines that name a time outside their video.
        missing: videos that a list names and that do not exist.
        ignored: files in class folders that are not videos, and lists of another format.
        overlooked: videos that lie in no class folder, and names that start with a dot, with the reason.
        notes: what to keep in mind, such as parts that were shortened, or clips in both train and val.
        split: how the splits were made, in a few words.
        lost: the samples that cannot be read, with the reason: a file that is broken or missing, or a line of a list.
        divided: whether there are splits; if not, `train` holds everything.
    """

    root: Path
    classes: tuple[str, ...]
    train: tuple[Segment, ...] = field(repr=False)
    val: tuple[Segment, ...] = field(repr=False)
    test: tuple[Segment, ...] = field(default=(), repr=False)
    multilabel: bool = False
    problems: tuple[LeftOut, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    overlooked: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    split: str = ""
    lost: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    divided: bool = True

    @property
    def all(self) -> tuple[Segment, ...]:
        """The segments of all splits, each once."""
        return tuple(dict.fromkeys((*self.train, *self.val, *self.test)))

    def left_out(self) -> list[tuple[str, str]]:
        """Every file, and every line of a list, that is not used, with the reason."""
        ignored = ((name, "it is not a video, or not a list of videos") for name in self.ignored)
        return [*self.lost, *ignored, *self.overlooked]

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """The sizes of the splits, and everything that was left out, in one sentence."""
        kind = "multi-label clips" if self.multilabel else "clips"
        count = sizes(self.train, self.val, self.test) if self.divided else str(len(self.train))
        parts = [f"{count} {kind} of {len(self.classes)} classes ({self.split})"]
        if self.problems:
            parts.append(f"{len(self.problems)} skipped: {listed(map(str, self.problems))}")
        if self.missing:
            parts.append(f"{counted(len(self.missing), 'video')} not there: {listed(in_quotes(self.missing))}")
        for name, segments in (("train", self.train), ("val", self.val), ("test", self.test)):
            absent = self._absent(segments)
            if segments and absent:
                parts.append(f"no {name} clip of {listed(absent)}")
        if self.ignored:
            parts.append(f"ignored: {listed(map(shown, self.ignored))}")
        for why, group in groupby(self.overlooked, key=itemgetter(1)):
            parts.append(f"not read, since {why}: {listed(in_quotes(name for name, _ in group))}")
        return "; ".join([*parts, *self.notes])

    def _absent(self, segments: Sequence[Segment]) -> list[str]:
        present = {label for segment in segments for label in segment.labels}
        return [repr(name) for label, name in enumerate(self.classes) if label not in present]
