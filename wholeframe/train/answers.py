"""The answers of `wholeframe predict` in files: as CSV, as JSON lines, and the features as an array."""

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from safetensors.torch import save_file

from wholeframe.train.predict import Prediction
from wholeframe.train.tasks.class_scores import columns_of, numbers, prediction

SUFFIXES = (".csv", ".jsonl")
ARRAYS = (".npy", ".safetensors")


class Answer(NamedTuple):
    """The prediction for a file, or for a segment of it in seconds; or, without a prediction, why there is none."""

    file: Path
    prediction: Prediction | None
    start: float | None = None
    end: float | None = None
    reason: str = ""


class Writer(Protocol):
    """Writes one answer."""

    def __call__(self, answer: Answer) -> None: ...


@contextmanager
def answers_file(file: Path, classes: Sequence[str], many: bool, timed: bool) -> Iterator[Writer]:
    """Write answers as they come, so that those before an interruption are kept.

    CSV: file, start and end of a segment, the prediction, a probability per class; `not read` as the prediction of a
    file that was not. JSON lines: an object per answer, with the same names, or with `error`.

    Args:
        file: ends with `.csv` or `.jsonl`.
        classes: the names of the classes.
        many: whether a sample may have any number of classes, those above 0.5.
        timed: whether answers have times.
    """
    fixed = ("file", "start", "end", "prediction") if timed else ("file", "prediction")
    columns = columns_of(classes, fixed)
    # Bytes of a file name that are not UTF-8 are written as escapes, so that every program can read the file.
    with file.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        rows = csv.writer(stream)

        def as_row(answer: Answer) -> None:
            times = ["" if time is None else f"{time:.3f}" for time in answer[2:4]] if timed else []
            if answer.prediction is None:
                rows.writerow([answer.file, *times, "not read", *[""] * len(classes)])
            else:
                p = answer.prediction.probabilities
                rows.writerow([answer.file, *times, prediction(p, classes, many), *numbers(p)])
            stream.flush()

        def as_line(answer: Answer) -> None:
            line: dict[str, object] = {"file": str(answer.file)}
            if timed:
                line |= {"start": answer.start, "end": answer.end}
            if answer.prediction is None:
                line["error"] = answer.reason
            else:
                p = answer.prediction.probabilities
                chosen = (p > 0.5).nonzero().flatten().tolist() if many else int(p.argmax())
                line["prediction"] = [classes[k] for k in chosen] if isinstance(chosen, list) else classes[chosen]
                line["probabilities"] = dict(zip(columns, p.tolist(), strict=True))
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            stream.flush()

        if file.suffix == ".csv":
            rows.writerow([*fixed, *columns])
        yield as_row if file.suffix == ".csv" else as_line


def write_features(answers: Sequence[Answer], file: Path) -> None:
    """Write the features `(n, d)` float32, in the order of the answers.

    As `.safetensors` the metadata have `files`, a JSON list of the names in this order, and for segments `start` and
    `end`, JSON lists of seconds.
    """
    rows = torch.stack([answer.prediction.features for answer in answers if answer.prediction]).float().contiguous()
    if file.suffix == ".npy":
        np.save(file, rows.numpy())
        return
    metadata = {"files": json.dumps([str(answer.file) for answer in answers])}
    if any(answer.start is not None for answer in answers):
        metadata |= {
            "start": json.dumps([answer.start for answer in answers]),
            "end": json.dumps([answer.end for answer in answers]),
        }
    save_file({"features": rows}, file, metadata=metadata)
