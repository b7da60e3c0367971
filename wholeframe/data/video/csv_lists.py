"""Read lists of labelled videos: those of Kinetics and Charades, of PySlowFast and MMAction2, and your own.

| columns | format |
|---|---|
| `label, youtube_id, time_start, time_end, split` | `kinetics`: one label for a part of a video, in seconds |
| `id, actions` (`c092 11.90 21.20;c147 0.00 12.60`) | `charades`: any number of 157 actions, each with its time |
| `video, label`, and optionally a start, an end, a `split` and `fps` | `plain`: your own list |
| none: a path and a label on each line | `plain`: PySlowFast and MMAction2 (`bare_lists`) |

Fields are separated by commas, semicolons, tabs, bars or spaces; the encoding is UTF-8 or UTF-16.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wholeframe.data.video.bare_lists import INTEGER, bare_delimiter
from wholeframe.data.video.find_videos import VideoFinder
from wholeframe.data.video.list_rows import (
    LABEL,
    VIDEO,
    Form,
    ListFormat,
    Row,
    charades_rows,
    kinetics_rows,
    plain_columns,
    plain_rows,
    times_of,
)
from wholeframe.data.video.list_text import DELIMITERS, TimeUnit, first_line, split_fields
from wholeframe.messages import in_quotes, listed, shown

SUFFIXES = (".csv", ".tsv", ".txt", ".lst", ".list")
"""Suffixes of files in a folder that may be lists; a list that is given by its path may have any."""

CHARADES = tuple(f"c{number:03}" for number in range(157))
"""All actions of Charades, so that an index means the same action for every list."""


@dataclass(frozen=True)
class VideoList:
    """All rows of the lists in a folder.

    Attributes:
        format: the format that all of them have.
        rows: the rows, in the order of the lists.
        classes: the names of the classes, sorted; as numbers if all of them are.
        unit: the unit of `start` and `end`.
        unread: files in the same folder that are called as a list is and have none of the known formats.
        notes: what was not used of the lists, or guessed.
    """

    format: ListFormat
    rows: tuple[Row, ...]
    classes: tuple[str, ...]
    unit: TimeUnit
    unread: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def read_lists(root: Path, videos: Path, unit: TimeUnit | None = None) -> VideoList | None:
    """Read the list `root`, or all lists in the folder `root`.

    Args:
        root: a list, or a folder.
        videos: the folder that the videos are in, at any depth.
        unit: the unit of columns that are called `start` and `end`.

    Returns:
        The rows of all lists; None if the folder has no list of a known format.

    Raises:
        ValueError: a list cannot be read, or the lists have different formats or units.
    """
    given = root.is_file()
    files = [root] if given else sorted(file for file in root.iterdir() if _may_be_list(file))
    if not files:
        return None
    find = VideoFinder(videos)
    forms = {file: form for file in files if (form := _form(file, find, given))}
    if given and not forms:
        raise ValueError(
            f"'{shown(root)}' is not a list of videos: its first line must name one of these sets of columns: label, "
            "time_end, time_start, youtube_id; actions, id; label, video; or each line must be a path and a label"
        )
    if not forms:
        return None
    _refuse_mixture(root, forms)
    units: set[TimeUnit] = {times_of(file, form, unit)[1] for file, form in forms.items()}
    if len(units) > 1:
        raise ValueError(f"'{shown(root)}' has lists in frames and lists in seconds; give the path of one of them")
    readers = {"kinetics": kinetics_rows, "charades": charades_rows, "plain": plain_rows}
    found = next(iter(forms.values())).format
    rows = {file: tuple(readers[found](file, form, find, unit)) for file, form in forms.items()}
    return VideoList(
        format=found,
        rows=_refuse_none(root, [row for of_file in rows.values() for row in of_file]),
        classes=CHARADES if found == "charades" else _labels(row for of_file in rows.values() for row in of_file),
        unit=units.pop(),
        unread=tuple(file for file in files if file not in forms),
        notes=tuple(filter(None, (find.note(), *_unused(forms, rows, unit)))),
    )


# ----------------------------------------------------------------------------------------- which format


def _may_be_list(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith(".")


def _form(file: Path, find: VideoFinder, given: bool) -> Form | None:
    first = first_line(file)
    for delimiter in DELIMITERS:
        columns = tuple(name.lower() for name in split_fields(first, delimiter))
        if found := _format(set(columns)):
            return Form(found, delimiter, columns)
    delimiter = bare_delimiter(file, find, given=given)
    return Form("plain", delimiter, ()) if delimiter else None


def _format(columns: set[str]) -> ListFormat | None:
    if columns >= {"label", "youtube_id", "time_start", "time_end"}:
        return "kinetics"
    if columns >= {"id", "actions"}:
        return "charades"
    return "plain" if columns.intersection(VIDEO) and columns.intersection(LABEL) else None


def _labels(rows: Iterable[Row]) -> tuple[str, ...]:
    labels = {row.label for row in rows if row.label is not None}
    if all(INTEGER.fullmatch(label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))


# --------------------------------------------------------------------------------------------- several lists


def _refuse_mixture(root: Path, forms: dict[Path, Form]) -> None:
    if len({form.format for form in forms.values()}) > 1:
        named = ", ".join(f"'{shown(file.name)}' ({form.format})" for file, form in forms.items())
        raise ValueError(f"'{shown(root)}' has lists of several formats: {named}. Give the path of one of them")


def _refuse_none(root: Path, rows: list[Row]) -> tuple[Row, ...]:
    if not rows:
        raise ValueError(f"'{shown(root)}' names columns, but has no line below them; add a line for each video")
    return tuple(rows)


def _unused(forms: dict[Path, Form], rows: dict[Path, tuple[Row, ...]], unit: TimeUnit | None) -> Iterator[str]:
    """Notes about empty lists, and about columns of your own lists that nothing reads."""
    if empty := [file.name for file, of_file in rows.items() if not of_file]:
        yield f"without a line: {listed(in_quotes(empty))}"
    others: dict[str, None] = {}
    for file, form in forms.items():
        if form.format == "plain" and form.columns:
            used = {*plain_columns(form), *(times_of(file, form, unit)[0] or ()), "split", "fps", ""}
            others |= dict.fromkeys(name for name in form.columns if name not in used)
    if others:
        yield f"columns that are not used: {listed(in_quotes(others))}"
