"""The folders of evaluations: RUN/evaluations/NAME/, one for each way to evaluate; FILE-evaluations/NAME/ for a file.

settings.json    what decides the figures: data, weights and their checksum, split, views
figures.json     the figures of all samples
scores.csv       a row per sample: label, prediction, a probability per class
classes.csv      a row per class: samples, precision, recall, F1
confusion.csv    the counts of every label and prediction
confusion.png    the same as shares of the samples with the label
left_out.csv     the files that are not used, with the reasons, if there are any

Of a detector, scores.csv has a row per detection and classes.csv the average precisions; instead of the confusion
there are

results-*.json   the detections in COCO's format of results: bbox, segm, keypoints
curves-*.png     precision over recall
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from wholeframe.train.environment import environment
from wholeframe.train.whole_files import digest_of, write_json

Settings = Mapping[str, object]


@contextmanager
def evaluation(root: Path, name: str, settings: Settings) -> Iterator["Evaluation"]:
    """A folder of an evaluation. It is made at once, so that one that cannot be written fails before the work.

        with evaluation(Path("runs/birds/evaluations"), "last-val", settings) as folder:
            scores = ...
            scores.write(folder.path, names, header, classes, "last weights, 25 val images")
        folder.path

    Args:
        root: the folder of all evaluations of a network.
        name: such as `last-val-10x3`.
        settings: everything that decides the figures. An evaluation with others under this name is kept, and the new
            one gets a number: `last-val-10x3-2`. One with the same settings is replaced.

    Raises:
        OSError: the folder cannot be written.
    """
    part = root / f".{name}-{os.getpid()}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        write_json(part / "settings.json", {**settings, "environment": environment()})
        unfinished = Evaluation(part)
        yield unfinished
        unfinished.path = _placed(part, root, name, settings)
    finally:
        shutil.rmtree(part, ignore_errors=True)


class Evaluation:
    """The folder of one evaluation; it takes its own name when everything in it is written."""

    def __init__(self, path: Path):
        self.path = path


def name_of(*parts: object) -> str:
    """The name of an evaluation from its parts, in letters that every file system takes; None is left out."""
    words = (re.sub(r"[^A-Za-z0-9._-]+", "_", str(part))[:40] for part in parts if part is not None)
    return "-".join(words)


def samples_checksum(names: Sequence[Sequence[str]]) -> str:
    """The SHA-256 of the names of all samples: with a file more or less, it is another evaluation."""
    return digest_of(json.dumps(names))


def _placed(part: Path, root: Path, name: str, settings: Settings) -> Path:
    """Give a finished folder its name: the first that is free, or that has the same settings."""
    for number in count(1):
        target = root / (name if number == 1 else f"{name}-{number}")
        if not target.exists():
            return part.rename(target)
        if _settings(target) == json.loads(json.dumps(settings)):
            shutil.rmtree(target)
            return part.rename(target)
    raise AssertionError("the numbers do not end")


def _settings(folder: Path) -> object:
    """The settings of a finished evaluation without its environment; None if they cannot be read."""
    try:
        settings = json.loads((folder / "settings.json").read_text())
        settings.pop("environment")
    except (OSError, ValueError, AttributeError, KeyError):
        return None
    return settings
