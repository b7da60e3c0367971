"""Whether a run can be resumed exactly: the same recipe, data and initial weights, and a whole checkpoint."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wholeframe.messages import quoted
from wholeframe.train.checkpoints import read_checkpoint, refuse_incomplete
from wholeframe.train.recipe import Recipe, described
from wholeframe.train.run import Run
from wholeframe.train.samples import Sample, changes
from wholeframe.train.whole_files import digest

FREE = ("data.workers",)
"""Fields of a recipe that do not change the outcome."""


def refuse_recipe(run: Run, recipe: Recipe) -> None:
    """ValueError if a run was started with another recipe than `recipe`."""
    if changed := _differences(described(run.recipe()), described(recipe)):
        raise ValueError(
            f"the run in '{run.folder}' was started with another recipe ({'; '.join(changed)}); resume it with the "
            f"options it was started with, or by `wholeframe train --resume {run.folder}`, which has them from there"
        )


def refuse_start(run: Run, start: Path | None) -> None:
    """ValueError if `start` is given, and the weights of the run came from elsewhere."""
    before = run.record().get("start")
    if start is not None and (before is None or Path(before).absolute() != start.absolute()):
        raise ValueError(
            f"the run in '{run.folder}' was started from {repr(before) if before else 'the weights of its recipe'}, "
            f"not from '{start}'; leave --start out to resume it"
        )


def refuse_data(run: Run, data: Path, classes: tuple[str, ...], samples: Sequence[Sample]) -> None:
    """ValueError if the data has other classes, or other samples, than when a run was started.

    Args:
        run: the run.
        data: the folder of the data, for the message.
        classes: the names of its classes.
        samples: its samples, as `Inputs.samples()` gives them.
    """
    if run.classes() != classes:
        raise ValueError(
            f"the run in '{run.folder}' has the classes {quoted(run.classes())}, but '{data}' has "
            f"{quoted(classes)}; resume it with the data it was started with"
        )
    before = run.samples()
    if before is not None and (changed := changes(before, samples)):
        raise ValueError(
            f"'{data}' has changed since the run in '{run.folder}' was started: {changed}; put the data back as it "
            f"was, or train on the new data with --start '{run.folder}' and another --out"
        )


def has_checkpoint(run: Run) -> bool:
    """Whether a run has a checkpoint to go on from. False for one that was stopped before its first.

    Raises:
        ValueError: it had one, which is gone or damaged.
    """
    if run.last.exists():
        checkpoint = read_checkpoint(run.last)
        refuse_incomplete(checkpoint, run.last)
        _refuse_best(run, checkpoint)
        return True
    if run.progress_file.exists() or _reached_second_epoch(run.metrics):
        best = f"; --start '{run.best}' and another --out begin with its best weights" if run.best.is_file() else ""
        raise ValueError(
            f"'{run.last}' is gone, so the run cannot go on from it: put it back{best}; or begin once more with "
            "another --out"
        )
    return False


def weights_file(start: Path) -> Path:
    """The file that `--start` takes its weights from: that of a run, or the file itself."""
    return Run(start).last if start.is_dir() else start


def start_of(run: Run) -> Path | None:
    """The run or file that the initial weights of a run came from, None for those of its recipe.

    Raises:
        ValueError: it is gone, or has other weights than when the run was started.
    """
    record = run.record()
    if record.get("start") is None:
        return None
    start = Path(record["start"])
    file, known = weights_file(start), record.get("start_sha256")
    if not file.is_file():
        reason = "is gone"
    elif known is not None and digest(file) != known:
        reason = "has changed since"
    else:
        return start
    raise ValueError(
        f"the run in '{run.folder}' has no checkpoint yet, and '{file}', from which its weights came (--start), "
        f"{reason}; put it back as it was, or begin once more with another --out"
    )


def _refuse_best(run: Run, checkpoint: dict[str, Any]) -> None:
    """ValueError if the checkpoint remembers a best one whose file is gone or damaged."""
    states = [state for state in checkpoint.get("callbacks", {}).values() if isinstance(state, dict)]
    if not any(state.get("monitor") and state.get("best_model_path") for state in states):
        return
    if not run.best.is_file():
        raise ValueError(
            f"'{run.best}' is gone, and '{run.last}' has its score, so that no epoch with a lower one replaces it: put "
            f"it back, or begin another run with --start '{run.last}' and another --out"
        )
    read_checkpoint(run.best)


def _reached_second_epoch(metrics: Path) -> bool:
    if not metrics.is_file():
        return False
    with metrics.open(newline="", encoding="utf-8", errors="replace") as stream:
        epochs = [row.get("epoch") or "" for row in csv.DictReader(line.replace("\0", "") for line in stream)]
    return any(epoch.isdecimal() and int(epoch) >= 1 for epoch in epochs)


def _differences(there: dict, here: dict, prefix: str = "") -> list[str]:
    changed = []
    for key, value in there.items():
        now = here.get(key)
        if isinstance(value, dict) and isinstance(now, dict) and key != "options":
            changed += _differences(value, now, f"{prefix}{key}.")
        elif value != now and f"{prefix}{key}" not in FREE:
            changed.append(f"{prefix}{key} was {value!r} and is now {now!r}")
    return changed
