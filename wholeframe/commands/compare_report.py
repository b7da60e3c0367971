"""The files and the printed tables of `wholeframe compare`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table as Grid

from wholeframe.commands.plain import console
from wholeframe.explain.figures import draw_accuracy
from wholeframe.messages import shown
from wholeframe.recipes.tables import Row, Table
from wholeframe.train.compare import Result
from wholeframe.train.summaries import Baselines, Summary, cells, header, markdown, summarise, table, write, write_csv

RESULTS, MARKDOWN, ACCURACY = "results.csv", "results.md", "accuracy.png"
WIDTH = 132
PUBLISHED = "published, not ours"
STATISTICS = ("cos in", "cos out", "cos att", "JSD")


@dataclass(frozen=True)
class Report:
    """What a comparison leaves in its folder, rewritten after every training.

    Args:
        out: the folder.
        command: that makes the comparison.
        baselines: of every task, see `wholeframe.train.arms.baselines`.
        tables: the published tables of `--table` by name; empty for a comparison of blocks.
    """

    out: Path
    command: str
    baselines: Baselines
    tables: Mapping[str, Table]

    def files(self) -> list[Path]:
        return [self.out / name for name in (RESULTS, MARKDOWN, ACCURACY)]

    def write(self, results: Sequence[Result]) -> None:
        """Write the tables and the plot of the trainings that are finished."""
        rows = summarise(results, self.baselines)
        write_csv(results, self.out / RESULTS, self.baselines)
        sections = [line for name, each in self.tables.items() for line in self._section(name, each, rows)]
        write(markdown(rows, self.command) + "".join(f"{line}\n" for line in sections), self.out / MARKDOWN)
        figures = {row.task: "AP50 of shapes that a partner names" for row in rows if row.own_forms}
        draw_accuracy(self._accuracies(rows), self.out / ACCURACY, figures)

    def _accuracies(self, rows: Sequence[Summary]) -> dict[str, dict[str, tuple[float, ...]]]:
        """Panels of the plot: published tables, or tasks."""
        panels: dict[str, dict[str, tuple[float, ...]]] = {}
        for name, each in self.tables.items():
            done = [(row.label, found.accuracies) for row in each.rows if (found := _of(row, rows))]
            panels |= {name: dict(done)} if done else {}
        if not self.tables:
            for row in rows:
                panels.setdefault(row.task, {})[row.block] = row.accuracies
        return panels

    def _section(self, name: str, each: Table, rows: Sequence[Summary]) -> list[str]:
        """A published table in Markdown."""
        return [
            "",
            f"## {name}: {each.title}",
            "",
            f"Rows of {each.source}. Published, not ours: {each.figures}. {each.note}".rstrip(),
            "",
            *table(_columns(each), [_cells(each, row, rows) for row in each.rows], names=1),
        ]


def _of(row: Row, rows: Sequence[Summary]) -> Summary | None:
    """The trainings of a row of a published table; None if none is finished."""
    return next((found for found in rows if (found.task, found.block) == (row.arm.task, row.arm.name)), None)


def _columns(each: Table) -> tuple[str, ...]:
    if each.statistics:
        return ("row", "seeds", "accuracy", "difference", *STATISTICS, PUBLISHED)
    return ("row", "params", "mult-adds", "seeds", "accuracy", "difference", PUBLISHED)


def _cells(each: Table, row: Row, rows: Sequence[Summary]) -> tuple[str, ...]:
    """The cells of a row; empty but for its name and the published figure if no training of it is finished."""
    found = _of(row, rows)
    if found is None:
        return row.label, *[""] * (len(_columns(each)) - 2), row.published
    measured = str(len(found.accuracies)), found.accuracy(), found.difference()
    if each.statistics:
        distances = ["" if figure is None else f"{figure:.3f}" for figure in found.statistics]
        return row.label, *measured, *distances, row.published
    return row.label, f"{found.network_params:,}", f"{found.macs:,}", *measured, row.published


def print_report(report: Report, results: Sequence[Result]) -> None:
    """Print the comparison: the published tables, or a row per task and block."""
    rows = summarise(results, report.baselines)
    printer = console()
    printer.width = max(printer.width, WIDTH)  # The table is also read in files and logs, which have no width.
    for name, each in report.tables.items():
        print(f"\n{name}: {each.title}\n{each.source}; {PUBLISHED}: {each.figures}")
        if each.note:
            print(each.note)
        printer.print(_grid(_columns(each), [_cells(each, row, rows) for row in each.rows], names=1))
    if not report.tables:
        columns = header(rows)
        grid = _grid(columns, [], names=2)
        for before, row in zip([None, *rows], rows, strict=False):
            if before is not None and before.task != row.task:
                grid.add_section()
            grid.add_row(*(shown(cell, 40) for cell in cells(row, columns)))
        printer.print(grid)


def print_tables(tables: Mapping[str, Table]) -> None:
    """Print the published tables by name: what they compare, and how many networks they train."""
    rows = [(name, each.title, str(len(each.rows)), each.source) for name, each in tables.items()]
    printer = console()
    printer.width = max(printer.width, WIDTH)
    printer.print(_grid(("table", "compares", "rows", "source"), rows, names=4))


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]], names: int) -> Grid:
    """A table whose first columns are names; the other names and the last column may take several lines."""
    grid = Grid()
    for index, name in enumerate(columns):
        whole = index == 0 or names <= index < len(columns) - 1
        grid.add_column(name, justify="left" if index < names else "right", no_wrap=whole)
    for row in rows:
        grid.add_row(*row)
    return grid
