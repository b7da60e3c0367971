"""`wholeframe predict RUN_OR_MODEL FILE...`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file

from wholeframe.train.limits import at_least
from wholeframe.train.predict import Prediction, of_model, of_run
from wholeframe.train.run import Run

SUFFIXES = (".npy", ".safetensors")


@dataclass(frozen=True)
class Options:
    """The most probable classes of images or videos."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN_OR_MODEL")]
    """a run folder of `wholeframe train`, or a network with weights: torchvision/NAME or timm/NAME"""
    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """images; or videos, for a run that was trained on videos"""
    top: int = 5
    """number of classes to print for each file"""
    features: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """save the input of the classifier, a row per file: as .npy, or as .safetensors with the names of the files"""
    views: Annotated[str | None, tyro.conf.arg(metavar="CLIPSxCROPS")] = None
    """of each video, 10x3 by default; 1x1 takes the centre of one clip"""
    weights: str | None = None
    """of a run: last (default) or best; of a network: DEFAULT (default), another name of its library, or a file"""

    def __post_init__(self):
        at_least("top", self.top, 1, 5)


def main(arguments: list[str]) -> None:
    """Run `wholeframe predict`."""
    options = tyro.cli(Options, args=arguments, prog="wholeframe predict")
    if not options.files:
        raise ValueError("give at least one image or video")
    if options.features is not None and options.features.suffix not in SUFFIXES:
        raise ValueError(f"features are saved as {' or '.join(SUFFIXES)}, got '{options.features}'")
    if Path(options.model).is_dir():
        predictor = of_run(Run(Path(options.model)), _of_run(options.weights), options.views)
    else:
        predictor = of_model(options.model, options.weights or "DEFAULT", options.views)
    predictions = {str(file): predictor(file) for file in dict.fromkeys(options.files)}
    Console().print(table(predictions, predictor.classes, options.top))
    if options.features is not None:
        write_features(predictions, options.features)
        print(f"features of {len(predictions)} files are in '{options.features}'")


def table(predictions: dict[str, Prediction], classes: Sequence[str], top: int) -> Table:
    """The most probable classes of every file."""
    rows = Table()
    rows.add_column("file", overflow="fold")
    rows.add_column("class")
    rows.add_column("probability")
    for file, prediction in predictions.items():
        best = prediction.probabilities.topk(min(top, len(classes)))
        for number, (p, label) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            rows.add_row(file if number == 0 else "", classes[int(label)], f"{p:.4f}")
        rows.add_section()
    return rows


def write_features(predictions: dict[str, Prediction], file: Path) -> None:
    """`(n, d)` float32, in the order of the files."""
    rows = torch.stack([prediction.features for prediction in predictions.values()]).float().contiguous()
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".npy":
        np.save(file, rows.numpy())
    else:
        save_file({"features": rows}, file, metadata={str(number): name for number, name in enumerate(predictions)})


def _of_run(weights: str | None) -> Literal["last", "best"]:
    if weights not in (None, "last", "best"):
        raise ValueError(f"weights={weights!r} does not exist: a run has the weights last and best")
    return "best" if weights == "best" else "last"
