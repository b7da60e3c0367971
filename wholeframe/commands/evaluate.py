"""`wholeframe evaluate RUN --data DIR`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch.utils.data import DataLoader

from wholeframe.data.folders import open_folder
from wholeframe.data.images import ImageDataset, transforms
from wholeframe.train.evaluate import evaluate
from wholeframe.train.run import Run


@dataclass(frozen=True)
class Options:
    """Accuracy of a run on the test images of a folder."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """a run folder of `wholeframe train`"""
    folder: Annotated[Path, tyro.conf.arg(name="data", metavar="DIR")]
    """images, in the layout of training"""
    weights: Literal["last", "best"] = "last"
    """after the last epoch, or after the one with the best test accuracy (flattering: chosen on the test images)"""
    strict: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """an image that does not decode is an error; otherwise it is named and left out"""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Options, args=arguments, prog="wholeframe evaluate")
    run = Run(options.run)
    recipe, classes = run.recipe(), run.classes()
    network = run.network(options.weights)
    folder = open_folder(
        options.folder, test_fraction=recipe.data.test_fraction, seed=recipe.seed, strict=options.strict
    )
    print(folder.describe())
    if folder.classes != classes:
        raise ValueError(
            f"the run knows the classes {', '.join(classes)}; '{options.folder}' has {', '.join(folder.classes)}"
        )
    images = ImageDataset(folder.test, transforms(recipe.data.size, train=False))
    batches = DataLoader(images, recipe.data.batch, num_workers=recipe.data.workers)
    with Progress(transient=True) as progress:
        bar = progress.add_task("evaluating", total=len(batches))
        scores = evaluate(network, batches, len(classes), after_batch=lambda: progress.advance(bar))

    table = Table("class", "images", "accuracy")
    for name, images, accuracy in zip(classes, scores.confusion.sum(dim=1), scores.per_class(), strict=True):
        table.add_row(name, str(int(images)), f"{accuracy:.4f}" if images else "no image")
    Console().print(table)
    top5 = "" if scores.top5 is None else f", top-5 {scores.top5:.4f}"
    print(f"top-1 {scores.top1:.4f}{top5} on {scores.images} test images, weights {options.weights}")
