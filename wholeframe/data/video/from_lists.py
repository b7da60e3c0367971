"""The clips of a CSV list: its rows checked against the videos, split, and made into segments."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, combinations, groupby
from pathlib import Path

from wholeframe.data.splits import WHOLE, held_out, imbalance, validated_on
from wholeframe.data.video.csv_lists import VideoList
from wholeframe.data.video.file import VideoInfo
from wholeframe.data.video.infos import infos_of, relative_names, truncation_notes
from wholeframe.data.video.list_rows import Row
from wholeframe.data.video.segments import Action, ClipFolder, LeftOut, Segment, reasons
from wholeframe.messages import counted, in_quotes, listed, shown

TRIMMED = 1.25
"""A Kinetics file of at most this many times the length of the listed part holds that part alone."""


def clips_from_list(
    root: Path,
    below: Path,
    video_list: VideoList,
    window: float | None,
    fraction: float | None,
    seed: int,
    rate: float | None = None,
    every_frame: bool = False,
) -> ClipFolder:
    """A segment for each row, or for each window of a video.

    Args:
        root: the list, or the folder with the list.
        below: the folder that the videos are in.
        video_list: the rows.
        window: seconds per segment, `math.inf` for the whole video; None for a segment per row.
        fraction: the part of the videos to hold out for validation if the list has no splits; None holds out nothing.
        seed: chooses the videos to hold out.
        rate: frames per second of the folders of frames for which the list gives none.
        every_frame: decode every frame of every video, so that what can be read later is known now.

    Raises:
        ValueError: the list has no label, none of its videos can be used, or two lines contradict each other.
    """
    if video_list.format == "charades" and window is None:
        window = math.inf
    if not video_list.classes:
        raise ValueError(f"no line of '{shown(root)}' has a label; write the class of each video into its line")
    rows = _without_unlabelled_test(video_list.rows)
    infos, problems = _infos(below, rows, rate, every_frame)
    usable, refused, cut = _in_seconds([row for row in rows if row.path in infos], infos, video_list)
    lost = (*_unread(rows, dict(reasons(problems)), below), *((_name(row), why) for row, why in refused))
    _refuse_nothing(root, below, usable, lost)
    train_rows, val_rows, test_rows, split = _split(below, usable, fraction, seed)

    def made(rows: Sequence[Row]) -> tuple[Segment, ...]:
        if window is None:
            return _segments(rows, video_list.classes, infos)
        return _windows(rows, video_list.classes, infos, window)

    of_splits = {"train": train_rows, "val": val_rows, "test": test_rows}
    segments = {name: made(of_split) for name, of_split in of_splits.items()}
    labels = {name: [label for segment in s for label in segment.labels] for name, s in segments.items()}
    notes = [*cut, *truncation_notes(infos.values()), *video_list.notes, *_notes_on_splits(below, of_splits)]
    if window is None and (bare := sum(row.label is None for row in usable)):
        notes.append(f"{counted(bare, 'line')} without a label left out")
    left_out = {row.split for row in video_list.rows} - {row.split for row in rows}
    if left_out:
        notes.append(f"not used: the split {listed(sorted(map(str, left_out)))}, which has no labels")
    if any(row.split == "test" for row in val_rows):
        notes.append(validated_on("the split test"))
    if unequal := imbalance(video_list.classes, labels):
        notes.append(unequal)
    return ClipFolder(
        root=root,
        classes=video_list.classes,
        train=segments["train"],
        val=segments["val"],
        test=segments["test"],
        multilabel=window is not None,
        problems=(*problems, *(LeftOut(row.video, why) for row, why in refused)),
        missing=tuple(dict.fromkeys(row.video for row in rows if row.path is None)),
        ignored=relative_names(root, video_list.unread),
        notes=tuple(notes),
        split=split,
        lost=lost,
        divided=split != WHOLE,
    )


def _infos(
    below: Path, rows: Sequence[Row], rate: float | None, every_frame: bool
) -> tuple[dict[Path, VideoInfo], tuple[LeftOut, ...]]:
    """The info of each video; of a folder of frames at the rate that the list gives, or else at `rate`."""
    given: dict[Path, tuple[float | None, str]] = {}
    for row in rows:
        if row.path and given.setdefault(row.path, (row.fps, row.where))[0] != row.fps:
            raise ValueError(
                f"{given[row.path][1]} and {row.where} give '{shown(row.video)}' two frame rates; keep one"
            )
    infos: dict[Path, VideoInfo] = {}
    problems: list[LeftOut] = []
    for fps in sorted({fps for fps, _ in given.values()}, key=lambda fps: fps or 0.0):
        paths = sorted(path for path, (of_path, _) in given.items() if of_path == fps)
        found, bad = infos_of(below, paths, rate=fps or rate, every_frame=every_frame)
        infos |= found
        problems += bad
    return infos, tuple(problems)


def _refuse_nothing(root: Path, below: Path, usable: Sequence[Row], lost: Sequence[tuple[str, str]]) -> None:
    if not usable:
        named = listed((f"'{shown(name)}' ({shown(reason)})" for name, reason in lost), most=3)
        raise ValueError(
            f"none of the videos of '{shown(root)}' can be used: {named}. They are looked for in '{shown(below)}'; for "
            "another folder give --videos DIR (videos= in Python)"
        )


def _without_unlabelled_test(rows: Sequence[Row]) -> list[Row]:
    """Drop the rows of a test split without labels (a contest's) if there is a val split."""
    splits = {row.split for row in rows}
    labelled = any(row.label is not None for row in rows if row.split == "test")
    return [row for row in rows if row.split != "test" or labelled or "val" not in splits]


def _unread(rows: Sequence[Row], broken: dict[str, str], below: Path) -> list[tuple[str, str]]:
    """The lines whose video is missing or does not decode, with the reason."""
    names = dict(zip((paths := [row.path for row in rows if row.path]), relative_names(below, paths), strict=True))
    named = ((_name(row), broken.get(names[row.path]) if row.path else "there is no such file") for row in rows)
    return [(name, reason) for name, reason in named if reason is not None]


def _name(row: Row) -> str:
    return f"{row.video} ({row.where})"


def _in_seconds(
    rows: Sequence[Row], infos: dict[Path, VideoInfo], video_list: VideoList
) -> tuple[list[Row], list[tuple[Row, str]], list[str]]:
    """The rows with times in seconds, those whose times are not in the video, and a note about those shortened."""
    good, bad, cut = [], [], []
    for row in rows:
        assert row.path is not None
        info = infos[row.path]
        if row.start is None and row.end is None:
            good.append(row)
            continue
        scale = 1 / info.fps if video_list.unit == "frames" else 1.0
        start, end = (row.start or 0.0) * scale, row.end * scale if row.end is not None else info.seconds
        if video_list.format == "kinetics" and info.seconds <= TRIMMED * (end - start):
            good.append(replace(row, start=None, end=None))
        elif start < 0:
            bad.append((row, f"its part begins before the video, at {start:g} s"))
        elif end <= start:
            bad.append((row, f"its part from {start:g} to {end:g} s is empty"))
        elif start >= info.seconds:
            bad.append((row, f"it lasts {info.seconds:.1f} s, but the list gives {start:g} to {end:g} s"))
        else:
            if end > info.seconds + 1:
                cut.append(repr(row.video))
            good.append(replace(row, start=start, end=min(end, info.seconds)))
    note = f"{counted(len(cut), 'part')} shortened to the end of the video: {listed(cut)}"
    return good, bad, [note] if cut else []


def _split(
    below: Path, rows: Sequence[Row], fraction: float | None, seed: int
) -> tuple[list[Row], list[Row], list[Row], str]:
    """The rows of each split, and how the splits were made, in a few words."""
    train = [row for row in rows if row.split in ("train", None)]
    val, test = ([row for row in rows if row.split == split] for split in ("val", "test"))
    if val or test:
        return (train, val, test, "split by the list") if val else (train, test, [], "split by the list")
    if fraction is None:
        return list(rows), [], [], WHOLE
    videos = sorted({row.path for row in rows if row.path})
    if len(videos) < 2:
        return list(rows), list(rows), [], "only one video: trained and validated on the same"
    chosen = held_out(below, videos, fraction, seed)
    train = [row for row in rows if row.path not in chosen]
    val = [row for row in rows if row.path in chosen]
    named = listed(in_quotes(path.name for path in sorted(chosen)))
    return train, val, [], f"held out, seed={seed}: {named}"


def _notes_on_splits(below: Path, splits: dict[str, list[Row]]) -> Iterator[str]:
    """Notes about lines without a split among lines with one, repeated lines, and videos that are in two splits."""
    rows = list(chain.from_iterable(splits.values()))
    if (bare := sum(row.split is None for row in rows)) and bare < len(rows):
        yield f"{counted(bare, 'line')} without a split used for training"
    distinct = {
        (row.path, row.label, row.start, row.end, name) for name, of_split in splits.items() for row in of_split
    }
    if repeated := len(rows) - len(distinct):
        yield f"{counted(repeated, 'line')} repeated"
    paths = {name: {row.path for row in of_split if row.path} for name, of_split in splits.items()}
    for one, other in combinations(splits, 2):
        if (both := sorted(paths[one] & paths[other])) and splits[one] != splits[other]:
            named = listed(in_quotes(relative_names(below, both)))
            yield f"{counted(len(both), 'video')} in both {one} and {other}, whose scores are then too good: {named}"


def _segments(rows: Sequence[Row], classes: Sequence[str], infos: dict[Path, VideoInfo]) -> tuple[Segment, ...]:
    """A segment for each row with a label."""
    labels = {name: label for label, name in enumerate(classes)}
    seen: dict[tuple, Row] = {}
    segments = []
    for row in rows:
        if row.label is None or row.path is None:
            continue
        first = seen.setdefault((row.path, row.start, row.end), row)
        if first.label != row.label:
            raise ValueError(
                f"the list labels the same part of '{shown(row.video)}' both '{shown(first.label)}' and "
                f"'{shown(row.label)}' ({first.where}; {row.where}). For several labels at once give a window in "
                "seconds (math.inf for the whole video)"
            )
        segments.append(Segment(row.path, row.start, row.end, (labels[row.label],), info=infos[row.path]))
    return tuple(segments)


def _windows(
    rows: Sequence[Row], classes: Sequence[str], infos: dict[Path, VideoInfo], window: float
) -> tuple[Segment, ...]:
    """A segment for each window of each video, with the labels of the rows that overlap with it."""
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
                        f"{row.where}: the list gives '{shown(row.video)}' the class '{shown(row.label)}', which is "
                        f"not one of the {len(classes)} classes {classes[0]} to {classes[-1]}"
                    )
                start, end = row.start or 0.0, info.seconds if row.end is None else row.end
                actions.append(Action(labels[row.label], start, end))
        count = max(math.floor(info.seconds / window + 1e-6), 1)  # In floating point 2.4 / 0.8 is a little less than 3.
        for number in range(count):
            start, end = (number * window if number else 0.0), (number + 1) * window
            if number + 1 == count:
                end = info.seconds
            within = tuple(action for action in actions if action.start < end and start < action.end)
            segments.append(Segment(path, start, end, _of(within), within, info))
    return tuple(segments)


def _of(actions: Iterable[Action]) -> tuple[int, ...]:
    return tuple(sorted({action.label for action in actions}))
