"""The samples that a run was started with, in `samples.csv`: a resumed run must have the same."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from wholeframe.messages import counted, listed
from wholeframe.train.whole_files import write_text

Sample = tuple[str, str, str]
"""The split, the name and the label of a sample."""

HEADER = ("split", "name", "label")


def write_samples(file: Path, samples: Sequence[Sample]) -> None:
    """Write a row per sample, in the order of the data set."""
    write_text(file, samples_text(samples))


def samples_text(samples: Sequence[Sample]) -> str:
    """The content of `samples.csv`."""
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows([HEADER, *samples])
    return stream.getvalue()


def read_samples(file: Path) -> list[Sample]:
    """The rows of `samples.csv`. ValueError if they are not of its form."""
    text = file.read_bytes().decode("utf-8", "surrogateescape")
    rows = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))]
    if not rows or rows[0] != HEADER or any(len(row) != len(HEADER) for row in rows):
        raise ValueError(f"'{file}' is damaged (its columns are not {', '.join(HEADER)})")
    return [(split, name, label) for split, name, label in rows[1:]]


def changes(before: Sequence[Sample], now: Sequence[Sample]) -> str:
    """Half a sentence that names the first samples that are gone, added, or labelled differently; "" for none."""
    if list(before) == list(now):
        return ""
    old, new = ({(split, name): label for split, name, label in samples} for samples in (before, now))
    gone = [_place(key) for key in old if key not in new]
    added = [_place(key) for key in new if key not in old]
    other = [key for key in old if key in new and old[key] != new[key]]
    relabelled = [f"{_place(key)} from {old[key]!r} to {new[key]!r}" for key in other]
    parts = [
        f"{counted(len(names), 'sample')} {what} ({listed(names, most=3)})"
        for what, names in (("gone", gone), ("added", added), ("relabelled", relabelled))
        if names
    ]
    return ", ".join(parts) or "the samples are in another order"


def _place(key: tuple[str, str]) -> str:
    split, name = key
    return f"{split} {name!r}"
