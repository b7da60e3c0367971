"""`metrics.csv` for a comparison of two trainings."""

import csv
from pathlib import Path


def without_speed(file: Path) -> list[dict[str, str]]:
    """The rows without the columns that depend on the machine and not on the training: samples per second."""
    with file.open(newline="") as stream:
        return [
            {name: value for name, value in row.items() if "_per_second" not in name} for row in csv.DictReader(stream)
        ]
