"""`metrics.csv`: every checkpoint carries the rows that were logged before it, and a resumed run starts with these.

So a file that was cut within a line, damaged or deleted is whole again after a resume, and no row is there twice.
"""

import csv
import io
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger

from wholeframe.messages import shown
from wholeframe.train import old_runs

Row = dict[str, Any]


class MetricsRecord(Callback):
    """Puts the content of `metrics.csv` into every checkpoint.

    Args:
        file: the table.
    """

    def __init__(self, file: Path):
        self.file = file

    def state_dict(self) -> dict[str, Any]:
        return {"text": self.file.read_text() if self.file.is_file() else ""}


def logged(checkpoint: dict[str, Any], file: Path) -> list[Row]:
    """The rows that were logged before a checkpoint.

    Args:
        checkpoint: its content. One of an earlier version does not have the rows.
        file: `metrics.csv`, which is read for such a checkpoint, without damaged rows and those after the checkpoint.
    """
    record = checkpoint.get("callbacks", {}).get(MetricsRecord.__name__)
    if record is not None:
        return _rows(record["text"])
    if not file.is_file():
        return []
    rows, _ = whole_rows(file)
    return [row for row in rows if int(row["step"]) < checkpoint["global_step"]]


def whole_rows(file: Path) -> tuple[list[Row], int]:
    """The rows of a `metrics.csv` with the names of this version, and the number of those that are damaged."""
    try:
        rows = _rows(file.read_bytes().decode("utf-8", "replace"))
    except csv.Error as error:  # A field of more than 131,072 letters
        raise ValueError(
            f"'{shown(file)}' is not the table of a training ({error}); put a whole copy in its place"
        ) from error
    whole = [row for row in rows if _whole(row)]
    return [{old_runs.metric(name): value for name, value in row.items()} for row in whole], len(rows) - len(whole)


def start_with(table: CSVLogger, rows: list[Row]) -> None:
    """Write the rows into the empty file of a logger."""
    table.experiment.metrics.extend(rows)
    table.save()


def _rows(text: str) -> list[Row]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _whole(row: Row) -> bool:
    """Whether the row has a number or nothing in every column, and the numbers of its epoch and its step."""
    counted = all(str(row.get(name)).isdecimal() for name in ("epoch", "step"))
    return counted and None not in row and None not in row.values() and all(map(_is_number, row.values()))


def _is_number(text: str) -> bool:
    try:
        float(text or 0)
    except ValueError:
        return False
    return True
