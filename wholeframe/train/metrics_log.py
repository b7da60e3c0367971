"""`metrics.csv`: every checkpoint carries the rows that were logged before it, and a resumed run starts with these.

So a file that was cut within a line, damaged or deleted is whole again after a resume, and no row is there twice.
"""

import csv
import io
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger

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
    steps, rows = checkpoint["global_step"], _rows(file.read_bytes().decode("utf-8", "replace"))
    before = [row for row in rows if _whole(row) and int(row["step"]) < steps]
    return [{old_runs.metric(name): value for name, value in row.items()} for row in before]


def start_with(table: CSVLogger, rows: list[Row]) -> None:
    """Write the rows into the empty file of a logger."""
    table.experiment.metrics.extend(rows)
    table.save()


def _rows(text: str) -> list[Row]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _whole(row: Row) -> bool:
    """Whether the row has a value for every column, and the number of its step."""
    return None not in row and None not in row.values() and str(row.get("step")).isdecimal()
