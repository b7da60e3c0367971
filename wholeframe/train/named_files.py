"""The files that a person names: single ones, all in a folder, and those in a list."""

import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from wholeframe.messages import counted, listed, shown

LISTS = frozenset({".txt", ".lst", ".csv", ".tsv"})
COLUMNS = ("file", "path", "filename", "image", "video", "name")
"""names of the column with the files; without one it is the first column"""

Chosen = Callable[[Iterable[Path]], tuple[list[Path], list[Path]]]
"""divides paths into samples and others"""


def files_among(
    given: Iterable[Path], chosen: Chosen, noun: str, whole: Callable[[Path], bool] = lambda folder: False
) -> tuple[list[Path], list[str]]:
    """The files to read, each once, in the order in which they are named.

    A folder gives all samples in it and below it, sorted; names that start with a dot are left out. A list (.txt
    or .lst: a path per line; .csv or .tsv: a column of paths) has paths relative to its own folder, or to the current
    one. Every other name is a file itself.

    Args:
        given: files, folders and lists.
        chosen: finds the samples in a folder, such as `images_among`.
        noun: the samples in a sentence, such as "image".
        whole: whether a folder is one sample, such as `is_frames_folder`.

    Returns:
        The files, and a sentence for each folder or list that was opened.

    Raises:
        FileNotFoundError: a folder or a list has no file.
    """
    files: list[Path] = []
    notes: list[str] = []
    for path in given:
        if path.is_dir() and not whole(path):
            found, others = chosen(_below(path))
            kinds = sorted({file.suffix.lower() or "no suffix" for file in others})
            left = f"; {counted(len(others), 'file')} left out as not {noun}s: {listed(kinds)}" if others else ""
        elif path.suffix.lower() in LISTS and path.is_file():
            found, left = list(_in_list(path)), ""
        else:
            files.append(path)
            continue
        if not found:
            raise FileNotFoundError(f"'{shown(path)}' has no {noun}{left}; give {noun}s, folders of them, or lists")
        notes.append(f"'{shown(path)}': {counted(len(found), noun)}{left}")
        files += found
    return list(dict.fromkeys(files)), notes


def _below(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def _in_list(file: Path) -> Iterator[Path]:
    text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    for name in _names(text, file.suffix.lower()):
        near = file.parent / name
        yield near if near.exists() or not Path(name).exists() else Path(name)


def _names(text: str, suffix: str) -> list[str]:
    if suffix not in (".csv", ".tsv"):
        return [line for line in text.splitlines() if line.strip()]
    rows = [row for row in csv.reader(text.splitlines(), delimiter="\t" if suffix == ".tsv" else ",") if row]
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = next((header.index(name) for name in COLUMNS if name in header), None)
    return [row[0] for row in rows] if column is None else [row[column] for row in rows[1:] if len(row) > column]
