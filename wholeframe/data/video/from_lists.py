"""From the lines of a list to the parts of videos that they speak of."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from wholeframe.data.splits import held_out, validated_on
from wholeframe.data.video.csv_lists import Row, Table
from wholeframe.data.video.file import VideoInfo
from wholeframe.data.video.segments import Action, ClipFolder, Problem, Segment, broken_off, probed, relative
from wholeframe.messages import counted, listed

TRIMMED = 1.25  # a file this much longer than the part that Kinetics lists, or shorter, is that part alone


def from_table(root: Path, below: Path, table: Table, window: float | None, fraction: float, seed: int) -> ClipFolder:
    if table.kind == "charades" and window is None:
        window = math.inf
    rows = _without_unlabelled_test(table.rows)
    infos, problems = probed(below, sorted({row.path for row in rows if row.path}))
    usable = [row for row in rows if row.path in infos]
    usable, refused, cut = _in_seconds(usable, infos, table)
    train_rows, val_rows, test_rows, split = _split(below, usable, fraction, seed)

    def made(rows: Sequence[Row]) -> tuple[Segment, ...]:
        return _segments(rows, table.classes, infos) if window is None else _windows(rows, table.classes, infos, window)

    notes = [*cut, *broken_off(infos.values())]
    if window is None and (bare := sum(row.label is None for row in usable)):
        notes.append(f"{counted(bare, 'line')} without a label left out")
    left_out = {row.split for row in table.rows} - {row.split for row in rows}
    if left_out:
        notes.append(f"not used: the split {listed(sorted(map(str, left_out)))}, which has no labels")
    if any(row.split == "test" for row in val_rows):
        notes.append(validated_on("the split test"))
    return ClipFolder(
        root=root,
        classes=table.classes,
        train=made(train_rows),
        val=made(val_rows),
        test=made(test_rows),
        multilabel=window is not None,
        problems=(*problems, *refused),
        missing=tuple(dict.fromkeys(row.video for row in rows if row.path is None)),
        ignored=relative(root, table.unread),
        notes=tuple(notes),
        split=split,
    )


def _without_unlabelled_test(rows: Sequence[Row]) -> list[Row]:
    """Without the lines of `test` if none of them has a label and there is a `val`: so are the lists of contests."""
    splits = {row.split for row in rows}
    labelled = any(row.label is not None for row in rows if row.split == "test")
    return [row for row in rows if row.split != "test" or labelled or "val" not in splits]


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


def _split(below: Path, rows: Sequence[Row], fraction: float, seed: int) -> tuple[list[Row], list[Row], list[Row], str]:
    """The lines to train on, to validate on and to test on, and how they were told apart."""
    train = [row for row in rows if row.split in ("train", None)]
    val, test = ([row for row in rows if row.split == split] for split in ("val", "test"))
    if val or test:
        return (train, val, test, "split by the list") if val else (train, test, [], "split by the list")
    videos = sorted({row.path for row in rows if row.path})
    if len(videos) < 2:
        return list(rows), list(rows), [], "only one video: trained and validated on the same"
    chosen = held_out(below, videos, fraction, seed)
    train = [row for row in rows if row.path not in chosen]
    val = [row for row in rows if row.path in chosen]
    named = listed(f"'{path.name}'" for path in sorted(chosen))
    return train, val, [], f"held out, seed={seed}: {named}"


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
        count = max(math.floor(info.seconds / window + 1e-6), 1)  # 2.4 / 0.8 is a little less than 3
        for number in range(count):
            start, end = (number * window if number else 0.0), (number + 1) * window
            if number + 1 == count:
                end = info.seconds
            within = tuple(action for action in actions if action.start < end and start < action.end)
            segments.append(Segment(path, start, end, _of(within), within, info))
    return tuple(segments)


def _of(actions: Iterable[Action]) -> tuple[int, ...]:
    return tuple(sorted({action.label for action in actions}))
