"""Lists of videos with labels, as CSV: what Kinetics, Charades, and people who wrote their own have.

| a list that has these columns | is |
|---|---|
| `label, youtube_id, time_start, time_end, split` | Kinetics: one label for a part of a video, in seconds |
| `id, actions` (`c092 11.90 21.20;c147 0.00 12.60`) | Charades: 157 actions, any number of them at once |
| `video, label`, and a start and an end if not all of the video | one's own; `split` if there is one |
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wholeframe.data.class_folders import files_below
from wholeframe.data.splits import TEST_NAMES, TRAIN_NAMES, VAL_NAMES

Kind = Literal["kinetics", "charades", "plain"]
Unit = Literal["frames", "seconds"]
Split = Literal["train", "val", "test"]

KINDS: dict[Kind, set[str]] = {
    "kinetics": {"label", "youtube_id", "time_start", "time_end"},
    "charades": {"id", "actions"},
    "plain": {"video", "label"},
}

TIMES: dict[tuple[str, str], Unit | None] = {
    ("start_frame", "end_frame"): "frames",
    ("start_time", "end_time"): "seconds",
    ("start_seconds", "end_seconds"): "seconds",
    ("time_start", "time_end"): "seconds",
    ("start", "end"): None,  # nobody but who wrote it knows
}

# What av opens and people have; the list is ours, for FFmpeg also opens pictures and text.
EXTENSIONS = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob"}
    | {".webm", ".wmv"}
)

CHARADES = tuple(f"c{number:03}" for number in range(157))
"""The actions of Charades, whether a list has them all or not."""


@dataclass(frozen=True)
class Row:
    """A label in a part of a video: `start` to `end`, or all of it. A video without any label has one row of None."""

    video: str
    """as the list calls it"""
    path: Path | None
    """where it is; None if there is no such file"""
    label: str | None
    start: float | None = None
    end: float | None = None
    split: Split | None = None


@dataclass(frozen=True)
class Table:
    """All rows of the lists in a folder."""

    kind: Kind
    rows: tuple[Row, ...]
    classes: tuple[str, ...]
    unit: Unit
    """what `start` and `end` of the rows count"""
    unread: tuple[Path, ...]
    """other CSV files beside them"""


def read_table(root: Path, videos: Path, unit: Unit | None = None) -> Table | None:
    """The list `root`, or those in the folder `root`; None if there is none.

    Args:
        root: a CSV file, or a folder with some.
        videos: the folder below which the videos are.
        unit: what columns `start` and `end` count, where their names do not say.

    Raises:
        ValueError: a list that cannot be read, or lists of two kinds.
    """
    files = [root] if root.is_file() else sorted(file for file in root.glob("*.csv"))
    kinds: dict[Path, Kind] = {file: kind for file in files if (kind := _kind(file))}
    if root.is_file() and not kinds:
        wanted = "; ".join(", ".join(sorted(columns)) for columns in KINDS.values())
        raise ValueError(f"'{root}' is no list of videos: its first line names none of these sets of columns: {wanted}")
    if not kinds:
        return None
    if len(set(kinds.values())) > 1:
        named = ", ".join(f"'{file.name}' ({kind})" for file, kind in kinds.items())
        raise ValueError(f"'{root}' has lists of several kinds: {named}. Open one of them by its name")
    kind = next(iter(kinds.values()))
    unread = tuple(file for file in files if file not in kinds)
    find = _Finder(videos)
    if kind == "charades":
        rows = tuple(row for file in kinds for row in _charades(file, find))
        return Table(kind, rows, CHARADES, "seconds", unread)
    if kind == "kinetics":
        rows = tuple(row for file in kinds for row in _kinetics(file, find))
        return Table(kind, rows, _labels(rows), "seconds", unread)
    units: list[Unit] = [_times(file, unit)[1] for file in kinds]
    if len(set(units)) > 1:
        raise ValueError(f"'{root}' has lists in frames and in seconds; open one of them by its name")
    rows = tuple(row for file in kinds for row in _plain(file, find, unit))
    return Table(kind, rows, _labels(rows), units[0], unread)


# ------------------------------------------------------------------------------------ three kinds


def _kinetics(file: Path, find: "_Finder") -> Iterator[Row]:
    for line, row in _rows(file):
        name, label, split = row["youtube_id"], row["label"] or None, _split(row, file)
        start, end = (_number(file, line, row, column) for column in ("time_start", "time_end"))
        if trimmed := find(f"{name}_{start or 0:06.0f}_{end or 0:06.0f}"):
            yield Row(name, trimmed, label, split=split)
        else:
            yield Row(name, find(name), label, start, end, split)


def _charades(file: Path, find: "_Finder") -> Iterator[Row]:
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


def _plain(file: Path, find: "_Finder", unit: Unit | None) -> Iterator[Row]:
    columns, _ = _times(file, unit)
    for line, row in _rows(file):
        start, end = (_number(file, line, row, column) for column in columns) if columns else (None, None)
        yield Row(row["video"], find(row["video"]), row["label"] or None, start, end, _split(row, file))


def _times(file: Path, unit: Unit | None) -> tuple[tuple[str, str] | None, Unit]:
    """The columns of start and end, and what they count."""
    fields = _fields(file)
    for columns, counted in TIMES.items():
        if fields.issuperset(columns):
            if counted is None and unit is None:
                raise ValueError(
                    f"'{file}' has columns start and end, and does not say what they count; "
                    'give unit="frames" or unit="seconds"'
                )
            return columns, counted or unit or "seconds"
    return None, "seconds"


def _labels(rows: Iterable[Row]) -> tuple[str, ...]:
    return tuple(sorted({row.label for row in rows if row.label is not None}))


# --------------------------------------------------------------------------------- lines and files


def _kind(file: Path) -> Kind | None:
    fields = _fields(file)
    return next((kind for kind, columns in KINDS.items() if columns <= fields), None)


def _fields(file: Path) -> set[str]:
    with _text(file) as stream:
        return {name.strip().lower() for name in next(csv.reader(stream), [])}


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and rows; names of columns in small letters, nothing missing."""
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
        raise ValueError(f"'{file}', line {line}: {column} is '{row[column]}', and that is no number") from None


def _split(row: dict[str, str], file: Path) -> Split | None:
    """What the column `split` says, or else the name of the file."""
    words = [row.get("split", "").lower()] if row.get("split") else re.split(r"[^a-z]+", file.stem.lower())
    for word in words:
        if word in TRAIN_NAMES:
            return "train"
        if word in VAL_NAMES or word == "validate":
            return "val"
        if word in TEST_NAMES:
            return "test"
    return None


class _Finder:
    """Videos below a folder, by the name that a list gives them: a path, or the name of the file without its ending."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.by_name: dict[str, list[Path]] = {}
        for file in sorted(files_below(folder)):
            if file.suffix.lower() in EXTENSIONS:
                self.by_name.setdefault(file.stem, []).append(file)

    def __call__(self, name: str) -> Path | None:
        if (path := self.folder / name).is_file():
            return path
        found = self.by_name.get(name) or self.by_name.get(Path(name).stem, [])
        if len(found) > 1:
            both = " and ".join(f"'{path}'" for path in found[:2])
            raise ValueError(f"'{name}' is the name of {both}; which of them the list means nobody can tell")
        return found[0] if found else None
