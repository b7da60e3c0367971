"""A published table as data: its rows, each with an arm of a comparison and the figure that the paper prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wholeframe.models.build import ModelConfig
from wholeframe.recipes.compared import OPTIONS
from wholeframe.train.arms import Arm

LAST = ("layer3.4",)
FIVE = ("layer2.1", "layer2.3", "layer3.1", "layer3.3", "layer3.5")
TEN = ("layer2.*", "layer3.*")


@dataclass(frozen=True)
class Row:
    """One cell of a grid, as the paper names it.

    `published` is the figure as printed; empty where the paper has no such row, or none that was confirmed.
    """

    label: str
    arm: Arm
    published: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a paper at toy scale.

    Args:
        title: what the rows differ in.
        source: paper and number of the table.
        figures: what the published figures are, of which network on which data.
        rows: the first without a block is the baseline.
        note: what is not as in the paper.
        statistics: whether the table has the statistics of `wholeframe.train.query_statistics`.
    """

    title: str
    source: str
    figures: str
    rows: tuple[Row, ...]
    note: str = ""
    statistics: bool = False


def arm(
    block: str | None = None, at: Sequence[str] = LAST, task: str = "recall_clips", host: str = "c2d", **options: Any
) -> Arm:
    """An arm of a table, named by what it consists of, so that equal cells of several tables are one arm."""
    model = ModelConfig(backbone=f"small_{host}", block=block, at=tuple(at))
    if block is None:
        return Arm(task, host, model)
    given = {**OPTIONS.get(block, {}), **options}
    changed = " ".join(f"{name}={value}" for name, value in options.items())
    name = f"{host}, {' '.join(filter(None, (block, changed)))} at {', '.join(at)}"
    return Arm(task, name, ModelConfig(backbone=model.backbone, block=block, at=model.at, options=given))
