"""The learning curves of runs, read from their `metrics.csv`."""

import csv
import io
import math
from collections.abc import Sequence

from wholeframe.explain.curves import LearningCurve
from wholeframe.messages import counted, listed, shown
from wholeframe.train.metrics_log import Row, whole_rows
from wholeframe.train.run import Run


def learning_curve(run: Run, name: str) -> tuple[LearningCurve, list[str]]:
    """The learning curve of a run, which may still be training.

    Args:
        run: its folder.
        name: of the curve.

    Returns:
        The curve, and a sentence for each thing that it lacks.

    Raises:
        ValueError: the folder is not a run, its table is gone or damaged as a whole, or no epoch has ended yet.
    """
    recipe = run.recipe()
    if not run.metrics.is_file():
        raise ValueError(
            f"'{shown(run.folder)}' has no metrics.csv, so there is no curve to draw; a run that is resumed writes the "
            "table again from its last checkpoint"
        )
    rows, damaged = whole_rows(run.metrics)
    score = recipe.task.score
    columns = [f"train/{score}", f"val/{score}", "train/epoch_loss", "val/loss"]
    lines, notes = [], []
    if damaged:
        notes.append(f"'{shown(run.metrics)}': {counted(damaged, 'row')} cannot be read and left out")
    for column in columns:
        line, replaced = _by_epoch(rows, column)
        if replaced:
            epochs = listed(map(str, replaced))
            notes.append(
                f"'{shown(run.metrics)}': {column} is there twice for epoch {epochs}, and the later row counts"
            )
        if wrong := [str(epoch) for epoch, value in line.items() if not math.isfinite(value)]:
            notes.append(f"'{shown(run.metrics)}': {column} is not finite after epoch {listed(wrong)}, which is a gap")
        lines.append({epoch: value for epoch, value in line.items() if math.isfinite(value)})
    if not any(lines):
        raise ValueError(
            f"'{shown(run.metrics)}' has no figures of an epoch ({', '.join(columns)}): the first epoch has not ended "
            f"yet, or the table is damaged{''.join(f'; {note}' for note in notes)}"
        )
    return LearningCurve(name, score, recipe.schedule.epochs, *lines), notes


def _by_epoch(rows: Sequence[Row], column: str) -> tuple[dict[int, float], list[int]]:
    """The values of a column by epoch, from 1, and the epochs that have several; of these the last one counts."""
    line: dict[int, float] = {}
    replaced = []
    for row in rows:
        if value := row.get(column):
            epoch = int(row["epoch"]) + 1
            if epoch in line:
                replaced.append(epoch)
            line[epoch] = float(value)
    return line, replaced


def curves_text(curves: Sequence[LearningCurve]) -> str:
    """The figures of the curves as CSV: a row per training and epoch, empty where there is none."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["run", "epoch", "figure", "train", "val", "train_loss", "val_loss"])
    for curve in curves:
        lines = (curve.train_score, curve.val_score, curve.train_loss, curve.val_loss)
        for epoch in range(1, curve.done + 1):
            table.writerow([shown(curve.name), epoch, curve.score, *(line.get(epoch, "") for line in lines)])
    return stream.getvalue()
