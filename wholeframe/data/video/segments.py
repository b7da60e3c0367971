"""Parts of videos with labels, and what was found out about their files."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from wholeframe.data.splits import sizes
from wholeframe.data.video.file import VideoError, VideoInfo, probe
from wholeframe.messages import counted, listed


class Action(NamedTuple):
    """A label and when it is true, seconds."""

    label: int
    start: float
    end: float


@dataclass(frozen=True)
class Segment:
    """A part of a video and what is true in it.

    Attributes:
        path: the file.
        start: where it begins, seconds from the first frame; None for the beginning.
        end: where it ends; None for the end.
        labels: indices into `ClipFolder.classes`, ascending; exactly one unless the folder is `multilabel`.
        actions: when each of them is true, where that is known: a clip cut out of the segment has the labels of the
            time that it shows.
        info: what `probe` found out about the file.
    """

    path: Path
    start: float | None = None
    end: float | None = None
    labels: tuple[int, ...] = ()
    actions: tuple[Action, ...] = field(default=(), repr=False)
    info: VideoInfo | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Problem:
    """A file, or a line of a list, that cannot be used."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"'{self.name}' ({self.reason})"


@dataclass(frozen=True)
class ClipFolder:
    """The segments that `open_clips` found in each split, and everything that it left out.

    Attributes:
        root: the folder or the list that was opened.
        classes: names of the classes.
        train: the segments to train on.
        val: the segments to validate on while training.
        test: the segments for the final test; empty unless there are train, val and test.
        multilabel: whether a segment may have any number of labels.
        problems: files that do not decode and lines that ask for what is not in their video; left out.
        missing: videos that a list names and that are not there; left out.
        ignored: files in class folders that are no videos by their name, and lists that are of no kind we know.
        notes: what else one should know: what was cut, what is trained and tested on alike.
        split: how the splits were made, in a few words.
    """

    root: Path
    classes: tuple[str, ...]
    train: tuple[Segment, ...] = field(repr=False)
    val: tuple[Segment, ...] = field(repr=False)
    test: tuple[Segment, ...] = field(default=(), repr=False)
    multilabel: bool = False
    problems: tuple[Problem, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    split: str = ""

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """Say in one sentence what is there, and everything that was left out."""
        kind = "multi-label clips" if self.multilabel else "clips"
        parts = [f"{sizes(self.train, self.val, self.test)} {kind} of {len(self.classes)} classes ({self.split})"]
        if self.problems:
            parts.append(f"{len(self.problems)} skipped: {listed(map(str, self.problems))}")
        if self.missing:
            parts.append(f"{counted(len(self.missing), 'video')} not there: {listed(map(repr, self.missing))}")
        for where, segments in (("train", self.train), ("val", self.val), ("test", self.test)):
            there = {label for segment in segments for label in segment.labels}
            absent = [repr(name) for label, name in enumerate(self.classes) if label not in there]
            if segments and absent:
                parts.append(f"no {where} clip of {listed(absent)}")
        if self.ignored:
            parts.append(f"ignored: {listed(self.ignored)}")
        return "; ".join([*parts, *self.notes])


def probed(root: Path, files: Sequence[Path]) -> tuple[dict[Path, VideoInfo], tuple[Problem, ...]]:
    """What is known about each file that decodes, and why the others do not."""

    def look(file: Path) -> VideoInfo | VideoError:
        try:
            return probe(file)
        except VideoError as error:
            return error

    with ThreadPoolExecutor() as threads:
        seen = list(threads.map(look, files))
    infos = {file: info for file, info in zip(files, seen, strict=True) if isinstance(info, VideoInfo)}
    bad = {file: error for file, error in zip(files, seen, strict=True) if isinstance(error, VideoError)}
    names = relative(root, bad)
    return infos, tuple(Problem(name, error.reason) for name, error in zip(names, bad.values(), strict=True))


def broken_off(infos: Iterable[VideoInfo]) -> tuple[str, ...]:
    """A sentence about the files that end before they should, or none."""
    lost = [f"'{info.path.name}' ({info.lost:.1f} s)" for info in infos if info.lost]
    return (f"{counted(len(lost), 'file')} broken off, used up to there: {listed(lost)}",) if lost else ()


def relative(root: Path, files: Iterable[Path]) -> tuple[str, ...]:
    """Their names below `root`, whole ones for files elsewhere."""
    return tuple(file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file) for file in files)
