"""Read CSV lists of labelled videos: those of Kinetics, those of Charades, and your own.

| columns | format |
|---|---|
| `label, youtube_id, time_start, time_end, split` | `kinetics`: one label for a part of a video, in seconds |
| `id, actions` (`c092 11.90 21.20;c147 0.00 12.60`) | `charades`: any number of 157 actions, each with its time |
| `video, label`, and optionally a start, an end and a `split` | `plain`: your own list |
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wholeframe.data.class_folders import files_below
from wholeframe.data.splits import TEST_NAMES, TRAIN_NAMES, VAL_NAMES
from wholeframe.data.video.extensions import EXTENSIONS
from wholeframe.messages import listed

ListFormat = Literal["kinetics", "charades", "plain"]
TimeUnit = Literal["frames", "seconds"]
Split = Literal["train", "val", "test"]

COLUMNS: dict[ListFormat, set[str]] = {
    "kinetics": {"label", "youtube_id", "time_start", "time_end"},
    "charades": {"id", "actions"},
    "plain": {"video", "label"},
}
"""The columns that a list of each format must have."""

TIMES: dict[tuple[str, str], TimeUnit | None] = {
    ("start_frame", "end_frame"): "frames",
    ("start_time", "end_time"): "seconds",
    ("start_seconds", "end_seconds"): "seconds",
    ("time_start", "time_end"): "seconds",
    ("start", "end"): None,
}
"""The columns of a start and an end, and their unit; None if the names do not give it."""

CHARADES = tuple(f"c{number:03}" for number in range(157))
"""All actions of Charades, so that an index means the same action for every list."""


@dataclass(frozen=True)
class Row:
    """One label of a part of a video. A video without any label has one row whose label is None.

    Attributes:
        video: the name that the list gives it.
        path: the file; None if there is none of this name.
        label: the name of the class, or None.
        start: where the part begins, in the unit of the list; None for the beginning of the video.
        end: where the part ends; None for the end of the video.
        split: the split that the list assigns, if it does.
    """

    video: str
    path: Path | None
    label: str | None
    start: float | None = None
    end: float | None = None
    split: Split | None = None


@dataclass(frozen=True)
class VideoList:
    """All rows of the lists in a folder.

    Attributes:
        format: the format that all of them have.
        rows: the rows, in the order of the lists.
        classes: the names of the classes.
        unit: the unit of `start` and `end`.
        unread: CSV files in the same folder that have none of the known formats.
    """

    format: ListFormat
    rows: tuple[Row, ...]
    classes: tuple[str, ...]
    unit: TimeUnit
    unread: tuple[Path, ...]


def read_lists(root: Path, videos: Path, unit: TimeUnit | None = None) -> VideoList | None:
    """Read the list `root`, or all lists in the folder `root`.

    Args:
        root: a CSV file, or a folder.
        videos: the folder that the videos are in, at any depth.
        unit: the unit of columns that are called `start` and `end`.

    Returns:
        The rows of all lists; None if the folder has no list of a known format.

    Raises:
        ValueError: a list cannot be read, or the lists have different formats or units.
    """
    files = [root] if root.is_file() else sorted(file for file in root.glob("*.csv"))
    formats: dict[Path, ListFormat] = {file: found for file in files if (found := _format(file))}
    if root.is_file() and not formats:
        wanted = "; ".join(", ".join(sorted(columns)) for columns in COLUMNS.values())
        raise ValueError(
            f"'{root}' is not a list of videos: its first line must name one of these sets of columns: {wanted}"
        )
    if not formats:
        return None
    if len(set(formats.values())) > 1:
        named = ", ".join(f"'{file.name}' ({found})" for file, found in formats.items())
        raise ValueError(f"'{root}' has lists of several formats: {named}. Give the path of one of them")
    unread = tuple(file for file in files if file not in formats)
    find = _VideoFinder(videos)
    (found,) = set(formats.values())
    if found == "charades":
        rows = tuple(row for file in formats for row in _charades(file, find))
        return VideoList(found, rows, CHARADES, "seconds", unread)
    if found == "kinetics":
        rows = tuple(row for file in formats for row in _kinetics(file, find))
        return VideoList(found, rows, _labels(rows), "seconds", unread)
    units: list[TimeUnit] = [_times(file, unit)[1] for file in formats]
    if len(set(units)) > 1:
        raise ValueError(f"'{root}' has lists in frames and lists in seconds; give the path of one of them")
    rows = tuple(row for file in formats for row in _plain(file, find, unit))
    return VideoList(found, rows, _labels(rows), units[0], unread)


# ---------------------------------------------------------------------------------- the three formats


def _kinetics(file: Path, find: "_VideoFinder") -> Iterator[Row]:
    for line, row in _rows(file):
        name, label, split = row["youtube_id"], row["label"] or None, _split(row, file)
        start, end = (_number(file, line, row, column) for column in ("time_start", "time_end"))
        if trimmed := find(f"{name}_{start or 0:06.0f}_{end or 0:06.0f}"):
            yield Row(name, trimmed, label, split=split)
        else:
            yield Row(name, find(name), label, start, end, split)


def _charades(file: Path, find: "_VideoFinder") -> Iterator[Row]:
    for line, row in _rows(file):
        path, split = find(row["id"]), _split(row, file)
        actions = [action.split() for action in row["actions"].split(";") if action.strip()]
        if not actions:
            yield Row(row["id"], path, None, split=split)
        for action in actions:
            try:
                label, start, end = action
                yield Row(row["id"], path, label, float(start), float(end), split)
            except ValueError:
                raise ValueError(
                    f"'{file}', line {line}: the action '{' '.join(action)}' is not a class, a start and an end, "
                    "such as 'c092 11.90 21.20'"
                ) from None


def _plain(file: Path, find: "_VideoFinder", unit: TimeUnit | None) -> Iterator[Row]:
    columns, _ = _times(file, unit)
    for line, row in _rows(file):
        start, end = (_number(file, line, row, column) for column in columns) if columns else (None, None)
        yield Row(row["video"], find(row["video"]), row["label"] or None, start, end, _split(row, file))


def _times(file: Path, unit: TimeUnit | None) -> tuple[tuple[str, str] | None, TimeUnit]:
    """The columns of the start and the end, if there are any, and their unit."""
    fields = _fields(file)
    for columns, known in TIMES.items():
        if fields.issuperset(columns):
            if known is None and unit is None:
                raise ValueError(
                    f"'{file}' has the columns start and end, which do not give their unit; "
                    'give unit="frames" or unit="seconds"'
                )
            return columns, known or unit or "seconds"
    return None, "seconds"


def _labels(rows: Iterable[Row]) -> tuple[str, ...]:
    return tuple(sorted({row.label for row in rows if row.label is not None}))


# ---------------------------------------------------------------------------------- lines and fields


def _format(file: Path) -> ListFormat | None:
    fields = _fields(file)
    return next((name for name, columns in COLUMNS.items() if columns <= fields), None)


def _fields(file: Path) -> set[str]:
    with _text(file) as stream:
        return {name.strip().lower() for name in next(csv.reader(stream), [])}


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line number with its fields; column names in lower case, missing fields empty."""
    with _text(file) as stream:
        reader = csv.DictReader(stream)
        for row in reader:
            yield (
                reader.line_num,
                {str(name).strip().lower(): (text or "").strip() for name, text in row.items() if name},
            )


def _text(file: Path):
    return file.open(newline="", encoding="utf-8-sig", errors="replace")


def _number(file: Path, line: int, row: dict[str, str], column: str) -> float | None:
    if not row[column]:
        return None
    try:
        return float(row[column])
    except ValueError:
        raise ValueError(
            f"'{file}', line {line}: {column} is '{row[column]}', which is not a number; "
            "leave it empty for the beginning or the end of the video"
        ) from None


def _split(row: dict[str, str], file: Path) -> Split | None:
    """The split that the column `split` gives, or else the name of the file."""
    words = [row.get("split", "").lower()] if row.get("split") else re.split(r"[^a-z]+", file.stem.lower())
    for word in words:
        if word in TRAIN_NAMES:
            return "train"
        if word in VAL_NAMES or word == "validate":
            return "val"
        if word in TEST_NAMES:
            return "test"
    return None


class _VideoFinder:
    """Finds videos in a folder by the name in a list: a relative path, or a file name with or without extension."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.by_stem: dict[str, list[Path]] = {}
        for file in sorted(files_below(folder)):
            if file.suffix.lower() in EXTENSIONS:
                self.by_stem.setdefault(file.stem, []).append(file)

    def __call__(self, name: str) -> Path | None:
        if (path := self.folder / name).is_file():
            return path
        found = self.by_stem.get(name) or self.by_stem.get(Path(name).stem, [])
        if len(found) > 1:
            several = listed((f"'{path}'" for path in found), most=2)
            raise ValueError(f"'{name}' in the list may be any of {several}; give its path relative to '{self.folder}'")
        return found[0] if found else None
