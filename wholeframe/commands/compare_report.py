"""The files and the printed tables of `wholeframe compare`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table as Grid

from wholeframe.commands.compare_cells import PUBLISHED, cells_of, columns_of, of_row
from wholeframe.commands.compare_page import content_of
from wholeframe.commands.plain import console
from wholeframe.explain.figures import draw_accuracy
from wholeframe.explain.report import html_report
from wholeframe.messages import shown
from wholeframe.recipes.tables import Table
from wholeframe.train.arms import Training
from wholeframe.train.compare import Result
from wholeframe.train.summaries import (
    Baselines,
    Summary,
    cells,
    header,
    markdown,
    on_answers_said,
    summarise,
    table,
    write,
    write_csv,
)

RESULTS, MARKDOWN, ACCURACY, PAGE = "results.csv", "results.md", "accuracy.png", "report.html"
WIDTH = 132


@dataclass(frozen=True)
class Report:
    """What a comparison leaves in its folder, rewritten after every training.

    Args:
        out: the folder.
        command: that makes the comparison.
        baselines: of every task, see `wholeframe.train.arms.baselines`.
        tables: the published tables of `--table` by name; empty for a comparison of blocks.
        trainings: all of the comparison.
        environment: versions and device.
    """

    out: Path
    command: str
    baselines: Baselines
    tables: Mapping[str, Table]
    trainings: Sequence[Training]
    environment: Mapping[str, str]

    def files(self) -> list[Path]:
        return [self.out / name for name in (RESULTS, MARKDOWN, ACCURACY, PAGE)]

    def write(self, results: Sequence[Result]) -> None:
        """Write the tables, the plot and the page of the trainings that are finished."""
        rows = summarise(results, self.baselines)
        write_csv(results, self.out / RESULTS, self.baselines)
        sections = [line for name, each in self.tables.items() for line in self._section(name, each, rows)]
        write(markdown(rows, self.command) + "".join(f"{line}\n" for line in sections), self.out / MARKDOWN)
        figures = {row.task: "AP50 of shapes that a partner names" for row in rows if row.own_forms}
        draw_accuracy(self._accuracies(rows), self.out / ACCURACY, figures)
        given = (self.trainings, results, self.baselines, self.tables, self.command, self.environment, self.out)
        write(html_report(content_of(*given)), self.out / PAGE)

    def _accuracies(self, rows: Sequence[Summary]) -> dict[str, dict[str, tuple[float, ...]]]:
        """Panels of the plot: published tables, or tasks."""
        panels: dict[str, dict[str, tuple[float, ...]]] = {}
        for name, each in self.tables.items():
            done = [(row.label, found.accuracies) for row in each.rows if (found := of_row(row, rows))]
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
            *table(columns_of(each), [cells_of(each, row, rows) for row in each.rows], names=1),
        ]


def print_report(report: Report, results: Sequence[Result]) -> None:
    """Print the comparison: the published tables, or a row per task and block."""
    rows = summarise(results, report.baselines)
    printer = console(WIDTH)
    for sentence in on_answers_said(rows):
        print(sentence)
    for name, each in report.tables.items():
        print(f"\n{name}: {each.title}\n{each.source}; {PUBLISHED}: {each.figures}")
        if each.note:
            print(each.note)
        printer.print(_grid(columns_of(each), [cells_of(each, row, rows) for row in each.rows], names=1))
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
    printer = console(WIDTH)
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
