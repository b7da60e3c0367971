"""Lists without names of columns: a path and a label on each line, as PySlowFast and MMAction2 write them.

| line | from |
|---|---|
| `path label` (also with commas, semicolons or tabs) | PySlowFast; MMAction2, lists of videos |
| `folder count label` | MMAction2, lists of folders of frames, of which the first `count` are used |
| `folder offset count label` | MMAction2, the same with the number of the first frame, from 0 |

The label -1 marks a video without a label.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from wholeframe.data.video.find_videos import VideoFinder
from wholeframe.data.video.list_text import DELIMITERS, first_line, lines_of, refuse_line, split_fields, text_of
from wholeframe.messages import shown

INTEGER = re.compile(r"-?[0-9]{1,18}")


class BareLine(NamedTuple):
    """One line: the name and the path of a video, its label or None, and the frames of a folder, `(first, end)`."""

    number: int
    video: str
    path: Path | None
    label: str | None
    frames: tuple[int, int] | None


def bare_delimiter(file: Path, find: VideoFinder, *, given: bool) -> str | None:
    """The delimiter of a list without names of columns; None if the file is another text.

    Args:
        file: the file.
        find: finds its videos.
        given: whether the user gave this very file. Else it lies in a folder with other files, such as a page of notes,
            and must name a video that exists.
    """
    first = first_line(file)
    for delimiter in DELIMITERS:
        fields = split_fields(first, delimiter)
        if len(fields) < 2:
            continue
        exists = any(find.is_there(name) for name, _ in _divisions(fields, first, delimiter))
        if INTEGER.fullmatch(fields[-1]) and (given or exists or _any_exists(file, find, delimiter)):
            return delimiter
        if exists and (given or len(fields) == 2):
            return delimiter
    return None


def bare_lines(file: Path, find: VideoFinder, delimiter: str) -> Iterator[BareLine]:
    """The lines of a list without names of columns.

    Raises:
        ValueError: a line has another form; the message gives its number.
    """
    for number, line in enumerate(lines_of(file), start=1):
        if line.strip():
            fields = split_fields(line, delimiter)
            if delimiter != " ":
                fields = [*fields[:1], *filter(None, fields[1:])]
            if len(fields) < 2 or not fields[0]:
                refuse_line(file, number, f"'{shown(line.strip())}' is not a path and a label; write 'path label'")
            yield _read(file, number, _divisions(fields, line, delimiter), find, delimiter)


def _read(
    file: Path, number: int, divisions: Sequence[tuple[str, list[str]]], find: VideoFinder, delimiter: str
) -> BareLine:
    exact = [each for each in divisions if find.is_there(each[0])]
    found = ((name, rest, find.of_line(file, number, name)) for name, rest in exact or divisions)
    name, rest, path = next((each for each in found if each[2]), (*_guessed(divisions), None))
    *counts, label = rest
    if not all(map(INTEGER.fullmatch, counts)):
        if path is None or path.is_dir():
            refuse_line(
                file, number, f"there is no video '{shown(name)}', so that its label cannot be told from its name"
            )
        if delimiter != " ":
            refuse_line(file, number, f"it has {len(rest) + 1} fields; write 'path{delimiter}label'")
        counts, label = [], " ".join(rest)
    if path and not path.is_dir() and counts:
        refuse_line(
            file,
            number,
            f"'{shown(name)}' has {len(rest)} labels; for several labels write a list with the columns video and "
            "label, a line for each label, and give a window in seconds",
        )
    if len(counts) > 2:
        refuse_line(file, number, f"'{shown(name)}' has {len(rest)} numbers; write 'folder count label'")
    frames = tuple(map(int, counts)) if path is None or path.is_dir() else ()
    span = (0, frames[0]) if len(frames) == 1 else (frames[0], sum(frames)) if frames else None
    return BareLine(number, name, path, None if label == "-1" else text_of(file, number, label), span)


def _divisions(fields: list[str], line: str, delimiter: str) -> list[tuple[str, list[str]]]:
    """The ways to divide a line into a path, which may hold spaces, and what follows; those with a long path first."""
    if delimiter != " ":
        return [(fields[0], fields[1:])]
    starts = [match.start() for match in re.finditer(r"(?<=\S)\s+(?=\S)", line)]
    return [(line[:start].strip(), line[start:].split()) for start in reversed(starts)]


def _guessed(divisions: Sequence[tuple[str, list[str]]]) -> tuple[str, list[str]]:
    """The division of a line whose video does not exist: all numbers at its end follow the path."""
    numbers = [each for each in divisions if all(map(INTEGER.fullmatch, each[1]))]
    return numbers[-1] if numbers else divisions[0]


def _any_exists(file: Path, find: VideoFinder, delimiter: str) -> bool:
    divided = (_divisions(split_fields(line, delimiter), line, delimiter) for line in lines_of(file) if line.strip())
    return any(find.is_there(name) for divisions in divided for name, _ in divisions)
