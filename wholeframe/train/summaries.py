"""The tables of a comparison: a row per training, and a row per arm with its difference to the baseline."""

import csv
import dataclasses
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from wholeframe.messages import shown
from wholeframe.train.arms import Key
from wholeframe.train.compare import Result, ShapesResult, refuse_unpaired
from wholeframe.train.paired import LEVEL, Paired
from wholeframe.train.query_statistics import FIGURES
from wholeframe.train.whole_files import replaced

Baselines = Mapping[str, str]
"""task -> its baseline, see `wholeframe.train.arms.baselines`"""

NONE: Baselines = {}

NOT_IN_CSV = ("batches", "losses", "scores")
"""Fields of a result that `results.csv` leaves out; `trainings.jsonl` has them."""


@dataclass(frozen=True)
class Summary:
    """The trainings of one arm on one task, over all seeds.

    `statistics` are the means of `wholeframe.train.query_statistics`, None where there is none.
    `paired` has the differences to the baseline under the same seeds; it is None for the baseline itself, for a task
    without one, and as long as no seed has both. `on_answers` are the shares of `wholeframe.train.on_answer`, empty
    where there is none.
    """

    task: str
    block: str
    params: int
    macs: int
    accuracies: tuple[float, ...]
    train_s: float
    infer_ms: float
    own_forms: tuple[float, ...] = ()
    network_params: int = 0
    statistics: tuple[float | None, ...] = ()
    paired: Paired | None = None
    on_answers: tuple[float, ...] = ()

    def accuracy(self) -> str:
        """The mean, with the standard deviation if there are several seeds."""
        return with_spread(self.accuracies)

    def own_form(self) -> str:
        """The same of the shapes that their own form names; empty for a task without them."""
        return with_spread(self.own_forms) if self.own_forms else ""

    def difference(self) -> str:
        """The mean difference to the baseline with its interval; empty without one."""
        return "" if self.paired is None else str(self.paired)

    def on_answer(self) -> str:
        """The mean share of queries whose strongest key lies on the answer; empty without one."""
        return f"{statistics.mean(self.on_answers):.1%}" if self.on_answers else ""


def with_spread(values: Sequence[float]) -> str:
    """The mean, and the standard deviation of several values."""
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.3f}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def differences(results: Sequence[Result], baselines: Baselines) -> dict[Key, float]:
    """Accuracy less that of the baseline of the task under the same seed, by task, arm and seed.

    Raises:
        ValueError: the two did not train on the same batches.
    """
    known = {result.key: result for result in results}
    found = {}
    for key, result in known.items():
        name = baselines.get(result.task)
        base = known.get((result.task, name, result.seed)) if name is not None else None
        if base is None or base is result:
            continue
        refuse_unpaired(result, base, "comparison")
        found[key] = result.accuracy - base.accuracy
    return found


def summarise(results: Sequence[Result], baselines: Baselines = NONE) -> list[Summary]:
    """One row per task and arm, in the order of the trainings."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.task, result.block), []).append(result)
    paired = differences(results, baselines)
    rows = []
    for (task, block), group in groups.items():
        apart = tuple(paired[r.key] for r in group if r.key in paired)
        rows.append(
            Summary(
                task=task,
                block=block,
                params=group[0].params,
                macs=group[0].macs,
                accuracies=tuple(r.accuracy for r in group),
                train_s=statistics.mean(r.train_s for r in group),
                infer_ms=statistics.mean(r.infer_ms for r in group),
                own_forms=tuple(r.own_form for r in group if isinstance(r, ShapesResult)),
                network_params=group[0].network_params,
                statistics=tuple(_mean([getattr(r, name) for r in group]) for name in FIGURES),
                paired=Paired(apart) if apart else None,
                on_answers=tuple(r.on_answer for r in group if r.on_answer is not None),
            )
        )
    return rows


HEADER = ("task", "block", "seeds", "new params", "mult-adds", "accuracy", "difference", "train s", "infer ms")
OBJECTS_HEADER = (*HEADER[:5], "score", "own form", *HEADER[6:])
OF_SHAPES = (
    "The score of `shapes` is the AP50 of the boxes of the discs, which a partner names, and own form is that of the "
    "squares and triangles; mult-adds are those of the backbone. The score of another task is its accuracy."
)
OF_DIFFERENCES = (
    "Difference is the accuracy less that of the bare network under the same seed, with the same batches in the same "
    f"order: the mean over the seeds, and in brackets its {LEVEL:.0%} interval by Student's t, if there are several."
)


def header(rows: Sequence[Summary]) -> tuple[str, ...]:
    """The columns: `HEADER`, or for a table with `shapes` those of its two figures."""
    return OBJECTS_HEADER if any(row.own_forms for row in rows) else HEADER


def cells(row: Summary, columns: Sequence[str] = HEADER) -> tuple[str, ...]:
    """The cells of a summary, in the columns of `header`."""
    return (
        row.task,
        row.block,
        str(len(row.accuracies)),
        f"{row.params:,}",
        f"{row.macs:,}",
        row.accuracy(),
        *([row.own_form()] if "own form" in columns else []),
        row.difference(),
        f"{row.train_s:.1f}",
        f"{row.infer_ms:.2f}",
    )


def on_answers_said(rows: Sequence[Summary]) -> list[str]:
    """One sentence on the arms that have the figure `on_answer`, or none."""
    found = [f"{row.on_answer()} ({shown(row.block, 60)})" for row in rows if row.on_answers]
    if not found:
        return []
    return [f"On recall, the strongest key of a query lies on its answer in {', '.join(found)} of queries."]


def write_csv(results: Sequence[Result], file: Path, baselines: Baselines = NONE) -> None:
    """Write `results.csv`: a row per training. The column `own_form` is there if a task has it.

    Curves and checksums are left out.

    `difference` is the accuracy less that of the baseline under the same seed; empty without one.
    """
    of_shapes = any(isinstance(result, ShapesResult) for result in results)
    names = [f.name for f in dataclasses.fields(ShapesResult if of_shapes else Result) if f.name not in NOT_IN_CSV]
    apart = differences(results, baselines)
    stream = StringIO(newline="")
    writer = csv.DictWriter(stream, [*names, "difference"], extrasaction="ignore")
    writer.writeheader()
    for result in results:
        writer.writerow(dataclasses.asdict(result) | {"difference": apart.get(result.key)})
    # Bytes of a folder name that are not UTF-8 are written as escapes, so that every program can read the file.
    write(stream.getvalue(), file)


def write(text: str, file: Path) -> None:
    """Write a text file as a whole, with escapes for what UTF-8 cannot hold."""
    with replaced(file) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


def markdown(rows: Sequence[Summary], command: str) -> str:
    """The text of `results.md`: the table, and the command that made it."""
    columns = header(rows)
    lines = [
        f"Made by {as_code(command)}. New params are the parameters of the block; mult-adds are those of the whole "
        "network for one image; accuracy is the mean over seeds on the test set of an embedded task, or on the "
        "validation split of your images (no choice is made on either while training); infer is the time of one image "
        "on the machine that trained the network.",
        *([OF_DIFFERENCES] if any(row.paired for row in rows) else []),
        *([OF_SHAPES] if columns is OBJECTS_HEADER else []),
        *map(in_markdown, on_answers_said(rows)),
        "",
        *table(columns, [cells(row, columns) for row in rows], names=2),
    ]
    return "\n".join(lines) + "\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], names: int) -> list[str]:
    """The lines of a table of Markdown, whose first columns are names and whose others are figures."""
    return [
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * names + "---:|" * (len(columns) - names),
        *("| " + " | ".join([*map(in_markdown, row[:names]), *row[names:]]) + " |" for row in rows),
    ]


def in_markdown(name: str) -> str:
    """A name from outside in a table of Markdown, where its letters have no meaning."""
    return re.sub(r"([\\`*_{}\[\]<>|#$~&!])", r"\\\1", shown(name))


def as_code(command: str) -> str:
    """A command as code in Markdown: between more backticks than it has in a row."""
    text = shown(command, 2000)
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks}{text}{ticks}" if len(ticks) == 1 else f"{ticks} {text} {ticks}"
