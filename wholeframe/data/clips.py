"""Videos with labels, as people have them: one folder per class, or a list.

folder = open_clips("actions")      # class folders, or a folder with a list
print(folder)                       # 66 train and 18 test clips of 9 classes (held out, ...); 1 skipped: ...
folder.train[0]                     # Segment(path, start, end, labels)
"""

import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from wholeframe.data.sentences import counted, listed
from wholeframe.data.tables import EXTENSIONS, Row, Table, Unit, read_table
from wholeframe.data.tree import FilesByClass, files_by_class, held_out, layout, places
from wholeframe.data.video import VideoError, VideoInfo, probe

LAYOUT = (
    layout("mp4")
    + """
or a CSV list in ROOT, beside or above the videos, that begins with one of these lines:
    video,start_frame,end_frame,label            (or start_time,end_time in seconds, or neither; split if you like)
    label,youtube_id,time_start,time_end,split   (Kinetics)
    id,...,actions,...                           (Charades)
or videos directly in ROOT, each a class of its own by its name."""
)

TRIMMED = 1.25  # a file this much longer than the part that Kinetics lists, or shorter, is that part alone


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
    """What `open_clips` found: what is trained on, what is tested on, and what was left out.

    Attributes:
        root: the folder or the list that was opened.
        classes: names of the classes.
        train: the segments to train on.
        test: the segments to test on.
        multilabel: whether a segment may have any number of labels.
        problems: files that do not decode and lines that ask for what is not in their video; left out.
        missing: videos that a list names and that are not there; left out.
        ignored: files in class folders that are no videos by their name, and lists that are of no kind we know.
        notes: what else one should know: what was cut, what is trained and tested on alike.
        split: a few words: how train and test were told apart.
    """

    root: Path
    classes: tuple[str, ...]
    train: tuple[Segment, ...] = field(repr=False)
    test: tuple[Segment, ...] = field(repr=False)
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
        parts = [
            f"{len(self.train)} train and {len(self.test)} test {kind} of {len(self.classes)} classes ({self.split})"
        ]
        if self.problems:
            parts.append(f"{len(self.problems)} skipped: {listed(map(str, self.problems))}")
        if self.missing:
            parts.append(f"{counted(len(self.missing), 'video')} not there: {listed(map(repr, self.missing))}")
        for where, segments in (("train", self.train), ("test", self.test)):
            there = {label for segment in segments for label in segment.labels}
            absent = [repr(name) for label, name in enumerate(self.classes) if label not in there]
            if segments and absent:
                parts.append(f"no {where} clip of {listed(absent)}")
        if self.ignored:
            parts.append(f"ignored: {listed(self.ignored)}")
        return "; ".join([*parts, *self.notes])


def open_clips(
    root: str | os.PathLike[str],
    *,
    videos: str | os.PathLike[str] | None = None,
    unit: Unit | None = None,
    window: float | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    strict: bool = False,
) -> ClipFolder:
    """Index videos with labels, looking once into every file.

    What is there decides the layout: a CSV list of a known kind (`data.tables`), or else class folders, or else videos
    side by side, of which each is a class of its own.

    - Kinetics: a file is looked for as `ID_START_END` with six digits each, which is the part alone, then as `ID`. The
      latter is the part alone if it is not longer than 1.25 times the part, and else the whole video.
    - Charades: multi-label; a segment is a whole video and knows when each action happens.
    - One's own list: a line is a segment with one label, and no window is cut; or with `window` multi-label.

    Train and test are told apart by folders, by a column `split`, by the names of the lists, or by holding out: of
    every class folder a part of the clips, of a list a part of the videos (never parts of one video on both sides).

    Args:
        root: the folder, or the list.
        videos: the folder with the videos, where it is not the folder of the list.
        unit: what `start` and `end` of one's own list count, where the names of the columns do not say.
        window: cut every video of a list into parts of this many seconds (the last one up to twice as long), which
            have the labels of all lines that overlap with them; `math.inf` for the whole video.
        test_fraction: the part to hold out where nothing tells train and test apart.
        seed: chooses what to hold out.
        strict: raise for anything that would be left out, instead of reporting it.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no layout that we know, a class without any clip, or, with `strict`, anything to leave out.
    """
    root = Path(root)
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction={test_fraction} is not between 0 and 1; 0.2 holds out a fifth")
    if window is not None and not window > 0:
        raise ValueError(f"window={window} is no length in seconds; 4 is one, math.inf takes the whole video")
    if not root.exists():
        raise FileNotFoundError(f"there is no folder or list '{root}'.{LAYOUT}")
    below = Path(videos) if videos is not None else root if root.is_dir() else root.parent
    table = read_table(root, below, unit)
    if table:
        folder = _from_table(root, below, table, window, test_fraction, seed)
    elif window is not None:
        raise ValueError(f"'{root}' has no list, and window={window:g} cuts the videos of a list only")
    else:
        folder = _from_folders(root, test_fraction, seed)
    if strict and (folder.problems or folder.missing):
        left_out = [*map(str, folder.problems), *(f"'{name}' (not there)" for name in folder.missing)]
        raise ValueError(
            f"'{root}' has {len(left_out)} that cannot be used: {listed(left_out)}. "
            "Repair or remove them, or leave them out with strict=False"
        )
    return folder


# ------------------------------------------------------------------------------------- class folders


def _from_folders(root: Path, fraction: float, seed: int) -> ClipFolder:
    loose, others = _videos(root.iterdir())
    if loose and not any(_videos(files)[0] for files in files_by_class(root).values()):
        return _each_its_own(root, loose, others)
    train_place, test_place = places(root, LAYOUT)
    train = files_by_class(train_place)
    tested = files_by_class(test_place) if test_place else {}
    if len(train) < 2:
        raise ValueError(f"'{train_place}' has {counted(len(train), 'class folder')}, and it takes two.{LAYOUT}")
    if unknown := [name for name in tested if name not in train]:
        raise ValueError(f"'{test_place}' has classes that are not trained on: {listed(map(repr, unknown))}")
    files, others = _videos(file for of_class in [*train.values(), *tested.values()] for file in of_class)
    infos, problems = _probed(root, files)
    train = {name: [file for file in of_class if file in infos] for name, of_class in train.items()}
    tested = {name: [file for file in of_class if file in infos] for name, of_class in tested.items()}
    if empty := [f"'{train_place / name}'" for name, of_class in train.items() if not of_class]:
        why = f" Files that were left out: {listed(map(str, problems))}." if problems else ""
        raise ValueError(f"no video that can be used in {listed(empty)}.{why} Add videos, or remove the folder")
    notes: list[str] = []
    if test_place:
        split = f"split by the folders {train_place.name}/ and {test_place.name}/"
    else:
        train, tested, notes = _hold_out(root, train, fraction, seed)
        split = f"test_fraction={fraction:g} of each class held out, seed={seed}"
    classes = tuple(train)
    return ClipFolder(
        root=root,
        classes=classes,
        train=_whole(train, classes, infos),
        test=_whole(tested, classes, infos),
        problems=problems,
        ignored=_relative(root, others),
        notes=(*notes, *_broken_off(infos.values())),
        split=split,
    )


def _each_its_own(root: Path, files: list[Path], others: list[Path]) -> ClipFolder:
    infos, problems = _probed(root, files)
    by_class = {file.stem: [file] for file in files if file in infos}
    clips = _whole(by_class, tuple(by_class), infos)
    return ClipFolder(
        root=root,
        classes=tuple(by_class),
        train=clips,
        test=clips,
        problems=problems,
        ignored=_relative(root, [file for file in others if file.is_file()]),
        notes=_broken_off(infos.values()),
        split="each file a class of its own: trained and tested on the same clips",
    )


def _hold_out(
    root: Path, files: FilesByClass, fraction: float, seed: int
) -> tuple[FilesByClass, FilesByClass, list[str]]:
    train, test, alone = {}, {}, []
    for name, of_class in files.items():
        if len(of_class) == 1:
            train[name] = test[name] = of_class
            alone.append(repr(name))
        else:
            tested = held_out(root, of_class, fraction, seed)
            train[name] = [file for file in of_class if file not in tested]
            test[name] = [file for file in of_class if file in tested]
    return train, test, [f"trained and tested on the only clip of {listed(alone)}"] if alone else []


def _whole(files: FilesByClass, classes: Sequence[str], infos: dict[Path, VideoInfo]) -> tuple[Segment, ...]:
    return tuple(
        Segment(file, labels=(label,), info=infos[file])
        for label, name in enumerate(classes)
        for file in files.get(name, ())
    )


# --------------------------------------------------------------------------------------------- lists


def _from_table(root: Path, below: Path, table: Table, window: float | None, fraction: float, seed: int) -> ClipFolder:
    if table.kind == "charades" and window is None:
        window = math.inf
    rows = _chosen(table.rows)
    infos, problems = _probed(below, sorted({row.path for row in rows if row.path}))
    usable = [row for row in rows if row.path in infos]
    usable, refused, cut = _in_seconds(usable, infos, table)
    train_rows, test_rows, split = _split(below, usable, fraction, seed)

    def made(rows: Sequence[Row]) -> tuple[Segment, ...]:
        return _segments(rows, table.classes, infos) if window is None else _windows(rows, table.classes, infos, window)

    notes = [*cut, *_broken_off(infos.values())]
    if window is None and (bare := sum(row.label is None for row in usable)):
        notes.append(f"{counted(bare, 'line')} without a label left out")
    left_out = {row.split for row in table.rows} - {row.split for row in rows}
    if left_out:
        notes.append(f"not used: the split {listed(sorted(map(str, left_out)))}")
    return ClipFolder(
        root=root,
        classes=table.classes,
        train=made(train_rows),
        test=made(test_rows),
        multilabel=window is not None,
        problems=(*problems, *refused),
        missing=tuple(dict.fromkeys(row.video for row in rows if row.path is None)),
        ignored=_relative(root, table.unread),
        notes=tuple(notes),
        split=split,
    )


def _chosen(rows: Sequence[Row]) -> list[Row]:
    """Without the lines of `test` where there is a `val`: papers report the latter, the former is often unlabelled."""
    splits = {row.split for row in rows}
    return [row for row in rows if not ("val" in splits and row.split == "test")]


def _in_seconds(
    rows: Sequence[Row], infos: dict[Path, VideoInfo], table: Table
) -> tuple[list[Row], list[Problem], list[str]]:
    """Lines whose times are in seconds and in the video; those that are not; and how many were cut."""
    good, bad, cut = [], [], []
    for row in rows:
        assert row.path is not None
        info = infos[row.path]
        if row.start is None and row.end is None:
            good.append(row)
            continue
        scale = 1 / info.fps if table.unit == "frames" else 1.0
        start, end = (row.start or 0.0) * scale, row.end * scale if row.end is not None else info.seconds
        if table.kind == "kinetics" and info.seconds <= TRIMMED * (end - start):
            good.append(replace(row, start=None, end=None))
        elif start < 0 or end <= start:
            bad.append(Problem(row.video, f"its part from {start:g} to {end:g} s is none"))
        elif start >= info.seconds:
            bad.append(Problem(row.video, f"it lasts {info.seconds:.1f} s, and {start:g} to {end:g} s is asked for"))
        else:
            if end > info.seconds + 1:
                cut.append(repr(row.video))
            good.append(replace(row, start=start, end=min(end, info.seconds)))
    note = f"{counted(len(cut), 'part')} would end after the video and was cut there: {listed(cut)}"
    return good, bad, [note] if cut else []


def _split(below: Path, rows: Sequence[Row], fraction: float, seed: int) -> tuple[list[Row], list[Row], str]:
    if any(row.split in ("val", "test") for row in rows):
        train = [row for row in rows if row.split in ("train", None)]
        return train, [row for row in rows if row.split in ("val", "test")], "split by the list"
    videos = sorted({row.path for row in rows if row.path})
    if len(videos) < 2:
        return list(rows), list(rows), "only one video: trained and tested on the same"
    tested = held_out(below, videos, fraction, seed)
    train = [row for row in rows if row.path not in tested]
    named = listed(f"'{path.name}'" for path in sorted(tested))
    return train, [row for row in rows if row.path in tested], f"held out, seed={seed}: {named}"


def _segments(rows: Sequence[Row], classes: Sequence[str], infos: dict[Path, VideoInfo]) -> tuple[Segment, ...]:
    """A segment for each line."""
    labels = {name: label for label, name in enumerate(classes)}
    seen: dict[tuple, str] = {}
    segments = []
    for row in rows:
        if row.label is None or row.path is None:
            continue
        part = (row.path, row.start, row.end)
        if seen.setdefault(part, row.label) != row.label:
            raise ValueError(
                f"the list calls the same part of '{row.video}' both '{seen[part]}' and '{row.label}'. For several "
                "labels at once give a window in seconds (math.inf for the whole video)"
            )
        segments.append(Segment(row.path, row.start, row.end, (labels[row.label],), info=infos[row.path]))
    return tuple(segments)


def _windows(
    rows: Sequence[Row], classes: Sequence[str], infos: dict[Path, VideoInfo], window: float
) -> tuple[Segment, ...]:
    """The videos, cut into parts of one length; each with the labels of the lines that overlap with it."""
    labels = {name: label for label, name in enumerate(classes)}
    segments = []
    for path, of_video in groupby(sorted(rows, key=lambda row: str(row.path)), key=lambda row: row.path):
        assert path is not None
        info = infos[path]
        actions = []
        for row in of_video:
            if row.label is not None:
                if row.label not in labels:
                    raise ValueError(
                        f"the list gives '{row.video}' the class '{row.label}', and there is no such class"
                    )
                start, end = row.start or 0.0, info.seconds if row.end is None else row.end
                actions.append(Action(labels[row.label], start, end))
        count = max(math.floor(info.seconds / window), 1)
        for number in range(count):
            start, end = (number * window if number else 0.0), (number + 1) * window
            if number + 1 == count:
                end = info.seconds
            within = tuple(action for action in actions if action.start < end and start < action.end)
            segments.append(Segment(path, start, end, _of(within), within, info))
    return tuple(segments)


def _of(actions: Iterable[Action]) -> tuple[int, ...]:
    return tuple(sorted({action.label for action in actions}))


# -------------------------------------------------------------------------------------------- files


def _videos(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The files whose names are those of videos, and the others."""
    videos: list[Path] = []
    others: list[Path] = []
    for file in sorted(files):
        if not file.name.startswith("."):
            (videos if file.suffix.lower() in EXTENSIONS and file.is_file() else others).append(file)
    return videos, others


def _probed(root: Path, files: Sequence[Path]) -> tuple[dict[Path, VideoInfo], tuple[Problem, ...]]:
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
    names = _relative(root, bad)
    return infos, tuple(Problem(name, error.reason) for name, error in zip(names, bad.values(), strict=True))


def _broken_off(infos: Iterable[VideoInfo]) -> tuple[str, ...]:
    lost = [f"'{info.path.name}' ({info.lost:.1f} s)" for info in infos if info.lost]
    return (f"{counted(len(lost), 'file')} broken off, used up to there: {listed(lost)}",) if lost else ()


def _relative(root: Path, files: Iterable[Path]) -> tuple[str, ...]:
    return tuple(file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file) for file in files)
