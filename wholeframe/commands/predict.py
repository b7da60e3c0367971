"""`wholeframe predict RUN_OR_MODEL FILE...`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file

from wholeframe.data.video.views import read_views
from wholeframe.train.predict import Answer, of_model, of_run
from wholeframe.train.run import Run

SUFFIXES = (".npy", ".safetensors")


@dataclass(frozen=True)
class Options:
    """The most probable classes of photographs or videos."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN_OR_MODEL")]
    """a run folder of `wholeframe train`, or a network with weights: torchvision/NAME or timm/NAME"""
    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """photographs, or videos for a run that was trained on videos"""
    top: int = 5
    """how many classes of each"""
    features: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """save what goes into the classifier, a row per file: as .npy, or as .safetensors with the names of the files"""
    views: Annotated[str | None, tyro.conf.arg(metavar="CLIPSxCROPS")] = None
    """of a video: 10x3 if not given; 1x1 takes the centre of one clip"""
    weights: str | None = None
    """of a run last (if not given) or best; of a network DEFAULT (if not given), another name, or a file"""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Options, args=arguments, prog="wholeframe predict")
    if not options.files:
        raise ValueError("give at least one photograph or video")
    if options.top < 1:
        raise ValueError(f"top={options.top} is no number of classes; 5 is usual")
    if options.features is not None and options.features.suffix not in SUFFIXES:
        raise ValueError(f"features are written as {' or '.join(SUFFIXES)}, and not as '{options.features}'")
    views = read_views(options.views) if options.views is not None else None
    if Path(options.model).is_dir():
        predictor = of_run(Run(Path(options.model)), _of_run(options.weights), views)
    else:
        predictor = of_model(options.model, options.weights or "DEFAULT", views)
    answers = {str(file): predictor(file) for file in dict.fromkeys(options.files)}
    Console().print(table(answers, predictor.classes, options.top))
    if options.features is not None:
        write_features(answers, options.features)
        print(f"features of {len(answers)} files are in '{options.features}'")


def table(answers: dict[str, Answer], classes, top: int) -> Table:
    """The most probable classes of every file."""
    rows = Table()
    rows.add_column("file", overflow="fold")
    rows.add_column("class")
    rows.add_column("probability")
    for file, answer in answers.items():
        best = answer.probabilities.topk(min(top, len(classes)))
        for number, (p, label) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            rows.add_row(file if number == 0 else "", classes[label], f"{p:.4f}")
        rows.add_section()
    return rows


def write_features(answers: dict[str, Answer], file: Path) -> None:
    """`(n, d)` float32, in the order of the files."""
    rows = torch.stack([answer.features for answer in answers.values()]).float().contiguous()
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".npy":
        np.save(file, rows.numpy())
    else:
        save_file({"features": rows}, file, metadata={str(number): name for number, name in enumerate(answers)})


def _of_run(weights: str | None) -> str:
    if weights not in (None, "last", "best"):
        raise ValueError(f"weights={weights!r}: a run has the weights last and best")
    return weights or "last"
