"""Samples that cannot be read: how many a training tolerates, what it says of them, and the list in its run folder."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from wholeframe.messages import listed, shown

TOLERATED = 0.01
"""Fraction of unreadable samples up to which a training starts without a question."""

OFFERED = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Values of --tolerate that a message suggests; the first that suffices."""

Lost = Sequence[tuple[str, str]]
"""Names with reasons."""


class LeavesOut(Protocol):
    """The part of `wholeframe.train.inputs.Inputs` that the list of unused files needs."""

    def left_out(self) -> list[tuple[str, str]]: ...


def refuse_tolerance(tolerate: float) -> None:
    """ValueError unless `tolerate` is a fraction."""
    if not 0 <= tolerate <= 1:
        raise ValueError(f"tolerate must be a fraction from 0 to 1, got {tolerate} ({TOLERATED:g} is usual)")


def refuse_unread(root: Path, lost: Lost, total: int, noun: str, tolerate: float) -> None:
    """ValueError if more than a fraction `tolerate` of all samples cannot be read."""
    if len(lost) > tolerate * total:
        enough = next(value for value in OFFERED if len(lost) <= value * total)
        raise ValueError(
            f"{len(lost)} of {total} {noun} of '{shown(root)}' cannot be read, more than the tolerated fraction "
            f"{tolerate:g}: {by_reason(lost)}. Repair them, or give --tolerate {enough:g} to train without them"
        )


def unread(lost: Lost, total: int, noun: str) -> str:
    """`2 of 80 images could not be read and are left out: ...`; empty if there are none."""
    return f"{len(lost)} of {total} {noun} could not be read and are left out: {by_reason(lost)}" if lost else ""


def by_reason(lost: Lost) -> str:
    """The reasons, the most frequent first, each with its number of samples and the first of their names."""
    groups: dict[str, list[str]] = {}
    for name, reason in lost:
        groups.setdefault(reason, []).append(f"'{shown(name)}'")
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return listed((f"{len(names)} ({shown(reason)}): {listed(names)}" for reason, names in ordered), between="; ")


def write_left_out(inputs: LeavesOut, folder: Path) -> str:
    """Write left_out.csv, a row for each unused file, into a run folder.

    Args:
        inputs: the opened data.
        folder: the run folder.

    Returns:
        One sentence that says where the list is; empty, and no file, if everything is used.
    """
    rows = inputs.left_out()
    file = folder / "left_out.csv"
    if not rows:
        file.unlink(missing_ok=True)  # A resumed run may have repaired data.
        return ""
    # Bytes of a file name that are not UTF-8 are written as escapes, so that every program can read the list.
    with file.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        csv.writer(stream).writerows([("file", "reason"), *rows])
    return f"everything that is not used is listed with its reason in '{file}'"
