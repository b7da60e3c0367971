"""What `report.html` of `wholeframe compare` shows."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wholeframe.commands.compare_cells import cells_of, columns_of, of_row
from wholeframe.explain.report import Arm, Content, Group, Picture
from wholeframe.messages import shown
from wholeframe.recipes.tables import Table
from wholeframe.train.arms import Training
from wholeframe.train.attention_picture import picture_name
from wholeframe.train.compare import Result
from wholeframe.train.summaries import OF_DIFFERENCES, OF_SHAPES, Baselines, Summary, cells, header, summarise

OF_FIGURES = (
    "Accuracy is the mean over the seeds on held-out samples, on which no choice is made while training, and ± is the "
    "standard deviation. Mult-adds are those of the whole network for one sample."
)
OF_ANSWERS = (
    "On answer is the share of queries of new images whose strongest key lies on the marker of the answer; of several "
    "blocks, the largest share."
)


def content_of(
    trainings: Sequence[Training],
    results: Sequence[Result],
    baselines: Baselines,
    tables: Mapping[str, Table],
    command: str,
    environment: Mapping[str, str],
    out: Path,
) -> Content:
    """The content of a report.

    Args:
        trainings: all of the comparison.
        results: of those that are finished.
        baselines: of every task.
        tables: the published tables by name; empty for a comparison of blocks.
        command: that makes the comparison.
        environment: versions and device.
        out: the folder with the pictures.
    """
    rows = summarise(results, baselines)
    tasks = list(dict.fromkeys(training.arm.task for training in trainings))
    groups = [_of_table(name, each, rows, results) for name, each in tables.items()]
    pictures, without = _pictures(trainings, results, out)
    return Content(
        title=shown(f"Comparison: {', '.join(tables or tasks)}"),
        done=len(results),
        planned=len(trainings),
        short=list(_short(rows, baselines)),
        groups=groups or [_of_task(task, trainings, rows, results) for task in tasks],
        pictures=pictures,
        without=without,
        command=shown(command, 2000),
        facts=_facts(trainings, results, environment),
    )


def _of_table(name: str, each: Table, rows: Sequence[Summary], results: Sequence[Result]) -> Group:
    """A published table at toy scale."""
    found = [(number, row, of_row(row, rows)) for number, row in enumerate(each.rows, start=1)]
    return Group(
        title=f"{name}: {each.title}",
        said=[
            f"Rows of {each.source}. Published, not ours: {each.figures}.",
            *filter(None, [each.note]),
            OF_DIFFERENCES,
        ],
        columns=columns_of(each),
        rows=[cells_of(each, row, rows) for row in each.rows],
        arms=[_arm(number, row.label, of, results) for number, row, of in found if of is not None],
        scores={row.arm.task: "accuracy" for row in each.rows},
    )


def _of_task(task: str, trainings: Sequence[Training], rows: Sequence[Summary], results: Sequence[Result]) -> Group:
    """The arms of one task; those without a finished training have empty cells."""
    names = list(dict.fromkeys(training.arm.name for training in trainings if training.arm.task == task))
    there = {row.block: row for row in rows if row.task == task}
    columns = header(list(there.values()))
    answers = any(row.on_answers for row in there.values())
    lines = []
    for name in names:
        row = there.get(name)
        figures = ("",) * (len(columns) - 2) if row is None else cells(row, columns)[2:]
        lines.append((shown(name), *figures, *([row.on_answer() if row else ""] if answers else [])))
    objects = "own form" in columns
    said = [OF_FIGURES, *([OF_SHAPES] if objects else [])]
    said += [OF_DIFFERENCES] if any(row.paired for row in there.values()) else []
    return Group(
        title=shown(task),
        said=[*said, *([OF_ANSWERS] if answers else [])],
        columns=(*columns[1:], *(["on answer"] if answers else [])),
        rows=lines,
        arms=[_arm(names.index(name) + 1, shown(name), row, results) for name, row in there.items()],
        scores={task: "AP50" if objects else "accuracy"},
    )


def _arm(number: int, name: str, row: Summary, results: Sequence[Result]) -> Arm:
    """The means of an arm over its finished seeds."""
    own = [result for result in results if (result.task, result.block) == (row.task, row.block)]
    costs = {"parameters": row.network_params, "multiply-adds": row.macs, "inference, ms": row.infer_ms}
    return Arm(
        number,
        name,
        row.task,
        statistics.fmean(row.accuracies),
        costs,
        losses=_means([result.losses for result in own]),
        steps=own[0].steps,
        scores=_means([result.scores for result in own]),
    )


def _means(curves: Sequence[Sequence[float]]) -> list[float]:
    """The mean curve, up to the end of the shortest: the images of one seed may fill a batch more."""
    return [statistics.fmean(values) for values in zip(*curves, strict=False)]


def _short(rows: Sequence[Summary], baselines: Baselines) -> Iterator[str]:
    """For every task the arm with the highest mean, and whether its interval shows a difference."""
    for task in dict.fromkeys(row.task for row in rows):
        arms = [row for row in rows if row.task == task]
        best = max(arms, key=lambda row: statistics.fmean(row.accuracies))
        score = "AP50" if best.own_forms else "accuracy"
        highest = f"{shown(task)}: {shown(best.block)} has the highest mean {score}, {best.accuracy()}"
        if len(arms) == 1:
            continue
        if best.paired is None:
            yield f"{highest}, and is the baseline." if best.block == baselines.get(task) else f"{highest}."
            continue
        ends = best.paired.interval()
        verdict = "one seed has no interval"
        if ends is not None:
            verdict = f"the interval {'contains 0' if ends[0] <= 0 <= ends[1] else 'does not contain 0'}"
        yield f"{highest}; its difference to {shown(baselines[task])} is {best.difference()}, and {verdict}."


def _pictures(trainings: Sequence[Training], results: Sequence[Result], out: Path) -> tuple[list[Picture], list[str]]:
    """The pictures of the arms with a block, and the names of those that have none."""
    done = {result.key for result in results}
    pictures, without = [], []
    for training in trainings:
        arm = training.arm
        if training.seed == 0 and not arm.bare and training.key in done:
            name, file = f"{shown(arm.task)}: {shown(arm.name)}", out / picture_name(arm)
            if file.is_file():
                alt = f"Maps of attention of the blocks of {shown(arm.name)} over a sample of {shown(arm.task)}."
                pictures.append(Picture(name, file, alt))
            else:
                without.append(name)
    return pictures, without


def _facts(trainings: Sequence[Training], results: Sequence[Result], environment: Mapping[str, str]) -> dict[str, str]:
    """How the comparison was made, by name."""
    last = max(training.seed for training in trainings)
    steps = {result.task: result.steps for result in results}
    return {
        "seeds": "0" if last == 0 else f"0 to {last}",
        **{f"steps, {shown(task)}": f"{count:,} of each training" for task, count in steps.items()},
        **{name.replace("_", " "): shown(value) for name, value in environment.items()},
    }
