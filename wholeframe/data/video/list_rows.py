"""The rows of one list in each of its formats, checked field by field."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, cast

from wholeframe.data.splits import TEST_NAMES, TRAIN_NAMES, VAL_NAMES
from wholeframe.data.video.bare_lists import bare_lines
from wholeframe.data.video.find_videos import VideoFinder
from wholeframe.data.video.list_text import TimeUnit, refuse_line, table, text_of
from wholeframe.messages import shown

ListFormat = Literal["kinetics", "charades", "plain"]
Split = Literal["train", "val", "test"]

VIDEO = ("video", "path", "file", "filename")
LABEL = ("label", "class")
"""Names of the columns of your own list."""

TIMES: dict[tuple[str, str], TimeUnit | None] = {
    ("start_frame", "end_frame"): "frames",
    ("start_time", "end_time"): "seconds",
    ("start_seconds", "end_seconds"): "seconds",
    ("time_start", "time_end"): "seconds",
    ("start", "end"): None,
}
"""The columns of a start and an end, and their unit; None if the names do not give it."""


@dataclass(frozen=True)
class Row:
    """One label of a part of a video. A video without any label has one row whose label is None.

    Attributes:
        video: the name that the list gives it.
        path: the file, or the folder of frames; None if there is none of this name.
        label: the name of the class, or None.
        start: where the part begins, in the unit of the list; None for the beginning of the video.
        end: where the part ends; None for the end of the video.
        split: the split that the list assigns, if it does.
        fps: frames per second of a folder of frames, if the list gives them.
        where: the list and the line.
    """

    video: str
    path: Path | None
    label: str | None
    start: float | None = None
    end: float | None = None
    split: Split | None = None
    fps: float | None = None
    where: str = ""


class Form(NamedTuple):
    """How one file is read."""

    format: ListFormat
    delimiter: str
    columns: tuple[str, ...]
    """names in lower case; none for a list without them"""


def times_of(file: Path, form: Form, unit: TimeUnit | None) -> tuple[tuple[str, str] | None, TimeUnit]:
    """The columns of the start and the end, if there are any, and their unit."""
    if not form.columns:
        return None, "frames"
    for columns, known in TIMES.items():
        there = [name for name in columns if name in form.columns]
        if len(there) == 1:
            (lacking,) = set(columns) - set(there)
            raise ValueError(
                f"'{shown(file)}' has a column {there[0]}, but no column {lacking}; add it (an empty field is the "
                f"beginning or the end of the video), or remove {there[0]} to use whole videos"
            )
        if there:
            if known is None and unit is None:
                raise ValueError(
                    f"'{shown(file)}' has the columns start and end, which do not give their unit; "
                    'give unit="frames" or unit="seconds"'
                )
            return columns, known or unit or "seconds"
    return None, "seconds"


# ---------------------------------------------------------------------------------- the three formats


def kinetics_rows(file: Path, form: Form, find: VideoFinder, unit: TimeUnit | None) -> Iterator[Row]:
    for line, row in table(file, form.delimiter):
        name, label, split = (
            _video(file, line, row, "youtube_id"),
            _label(file, line, row, "label"),
            _split(file, line, row),
        )
        start, end = (_number(file, line, row, column) for column in ("time_start", "time_end"))
        if trimmed := find.of_line(file, line, f"{name}_{start or 0:06.0f}_{end or 0:06.0f}"):
            yield Row(name, trimmed, label, split=split, where=_where(file, line))
        else:
            yield Row(name, find.of_line(file, line, name), label, start, end, split, where=_where(file, line))


def charades_rows(file: Path, form: Form, find: VideoFinder, unit: TimeUnit | None) -> Iterator[Row]:
    for line, row in table(file, form.delimiter):
        name, split, where = _video(file, line, row, "id"), _split(file, line, row), _where(file, line)
        path = find.of_line(file, line, name)
        actions = [action.split() for action in row["actions"].split(";") if action.strip()]
        if not actions:
            yield Row(name, path, None, split=split, where=where)
        for action in actions:
            try:
                label, start, end = action
                times = float(start), float(end)
            except ValueError:
                label, times = "", (math.nan, math.nan)
            if not all(map(math.isfinite, times)):
                refuse_line(
                    file,
                    line,
                    f"the action '{shown(' '.join(action))}' is not a class, a start and an end, such as "
                    "'c092 11.90 21.20'",
                )
            yield Row(name, path, text_of(file, line, label), *times, split, where=where)


def plain_rows(file: Path, form: Form, find: VideoFinder, unit: TimeUnit | None) -> Iterator[Row]:
    if not form.columns:
        for each in bare_lines(file, find, form.delimiter):
            start, end = each.frames or (None, None)
            split = _split_of_name(file)
            yield Row(each.video, each.path, each.label, start, end, split, where=_where(file, each.number))
        return
    columns, _ = times_of(file, form, unit)
    video, label = plain_columns(form)
    for line, row in table(file, form.delimiter):
        name = _video(file, line, row, video)
        start, end = (_number(file, line, row, column) for column in columns) if columns else (None, None)
        fps = _number(file, line, row, "fps") if "fps" in form.columns else None
        if fps is not None and fps <= 0:
            refuse_line(file, line, f"fps is {fps:g}, which is not a number of frames per second, such as 25")
        path, split = find.of_line(file, line, name), _split(file, line, row)
        yield Row(name, path, _label(file, line, row, label), start, end, split, fps, _where(file, line))


def plain_columns(form: Form) -> tuple[str, str]:
    video, label = (next(name for name in names if name in form.columns) for names in (VIDEO, LABEL))
    return video, label


# --------------------------------------------------------------------------------------------- fields


def _where(file: Path, line: int) -> str:
    return f"'{shown(file.name)}', line {line}"


def _video(file: Path, line: int, row: dict[str, str], column: str) -> str:
    return row[column] or refuse_line(file, line, f"the field {column} is empty; name a video, or remove the line")


def _label(file: Path, line: int, row: dict[str, str], column: str) -> str | None:
    return text_of(file, line, row[column]) or None


def _number(file: Path, line: int, row: dict[str, str], column: str) -> float | None:
    if not row[column]:
        return None
    try:
        number = float(row[column])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        why = "leave it empty for the beginning or the end of the video"
        refuse_line(file, line, f"{column} is '{shown(row[column])}', which is not a number; {why}")
    return number


def _split(file: Path, line: int, row: dict[str, str]) -> Split | None:
    """The split that the column `split` gives, or else the name of the file."""
    if not row.get("split"):
        return _split_of_name(file)
    return _split_of([row["split"].lower()]) or refuse_line(
        file, line, f"the split '{shown(row['split'])}' is not one of train, val and test"
    )


def _split_of_name(file: Path) -> Split | None:
    return _split_of(re.split(r"[^a-z]+", file.stem.lower()))


def _split_of(words: Sequence[str]) -> Split | None:
    names = {"train": TRAIN_NAMES, "val": (*VAL_NAMES, "validate"), "test": TEST_NAMES}
    found = next((split for word in words for split, of_split in names.items() if word in of_split), None)
    return cast(Split | None, found)
