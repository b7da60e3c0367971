"""The cells of a published table: our figures, with those that the paper prints."""

from collections.abc import Sequence

from wholeframe.recipes.tables import Row, Table
from wholeframe.train.summaries import Summary

PUBLISHED = "published, not ours"
STATISTICS = ("cos in", "cos out", "cos att", "JSD")


def of_row(row: Row, rows: Sequence[Summary]) -> Summary | None:
    """The trainings of a row of a published table; None if none is finished."""
    return next((found for found in rows if (found.task, found.block) == (row.arm.task, row.arm.name)), None)


def columns_of(each: Table) -> tuple[str, ...]:
    """The columns of a published table."""
    if each.statistics:
        return ("row", "seeds", "accuracy", "difference", *STATISTICS, PUBLISHED)
    return ("row", "params", "mult-adds", "seeds", "accuracy", "difference", PUBLISHED)


def cells_of(each: Table, row: Row, rows: Sequence[Summary]) -> tuple[str, ...]:
    """The cells of a row; empty but for its name and the published figure if no training of it is finished."""
    found = of_row(row, rows)
    if found is None:
        return row.label, *[""] * (len(columns_of(each)) - 2), row.published
    measured = str(len(found.accuracies)), found.accuracy(), found.difference()
    if each.statistics:
        distances = ["" if figure is None else f"{figure:.3f}" for figure in found.statistics]
        return row.label, *measured, *distances, row.published
    return row.label, f"{found.network_params:,}", f"{found.macs:,}", *measured, row.published
