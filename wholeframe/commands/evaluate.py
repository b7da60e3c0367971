"""`wholeframe evaluate RUN --data DIR`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from wholeframe.messages import quoted
from wholeframe.surgery.norms import precise_bn
from wholeframe.train.evaluate import evaluate
from wholeframe.train.inputs import open_inputs
from wholeframe.train.inputs.clips import ClipLocation
from wholeframe.train.inputs.images import ImageLocation
from wholeframe.train.limits import at_least
from wholeframe.train.run import Run


@dataclass(frozen=True)
class Options:
    """Accuracy or mAP of a trained run on a labelled folder; the predictions are saved in the run folder."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """a run folder of `wholeframe train`"""
    location: tyro.conf.OmitArgPrefixes[ImageLocation | ClipLocation]
    views: Annotated[str | None, tyro.conf.arg(metavar="CLIPSxCROPS")] = None
    """of each video, 10x3 by default; 10x1 takes the centre of each clip, 10xfull the whole frame"""
    split: Literal["val", "train", "test"] = "val"
    """samples to evaluate on; a folder has a test split if it has train/, val/ and test/"""
    weights: Literal["last", "best"] = "last"
    """after the last epoch; or after the epoch with the best validation score (optimistic on val: chosen on it)"""
    precise_bn: int = 0
    """training batches from which the batch norms take their statistics first; the released Non-local code takes 200"""

    def __post_init__(self):
        at_least("precise_bn", self.precise_bn, 0, 200)


def main(arguments: list[str]) -> None:
    """Run `wholeframe evaluate`."""
    options = parse(arguments)
    run = Run(options.run)
    recipe, classes = run.recipe(), run.classes()
    data = recipe.data
    views = data.test_views(options.views)
    network = run.network(options.weights)
    inputs = open_inputs(data, options.location, recipe.task, recipe.seed)
    print(inputs.describe())
    if inputs.classes != classes:
        raise ValueError(
            f"the run was trained on the classes {quoted(classes)}, but '{options.location.path}' has "
            f"{quoted(inputs.classes)}"
        )
    batches = inputs.batches(options.split, views)
    if options.precise_bn:
        training = inputs.splits().train_dataloader()
        used = precise_bn(network, (data.to_input(samples) for samples, _ in training), options.precise_bn)
        print(f"statistics of the batch norms from {used} training batches")
    with Progress(transient=True) as progress:
        bar = progress.add_task("evaluating", total=len(batches))
        scores = evaluate(network, batches, recipe.task, spec=data, after_batch=lambda: progress.advance(bar))

    header, rows = scores.table(classes)
    table = Table(*header)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    if failures := inputs.failures():
        print(failures)
    seen = f", {views} views each" if views else ""
    print(f"{scores.summary()} on {scores.count} {options.split} {data.noun}{seen}, weights {options.weights}")
    file = run.folder / f"scores-{options.weights}-{options.split}{f'-{views}' if views else ''}.csv"
    scores.write(file, inputs.names(options.split), inputs.header, classes)
    print(f"every prediction is in '{file}'")


def parse(arguments: list[str]) -> Options:
    """Options from the command line; a run that comes first decides between those of images and of videos."""
    location = ClipLocation  # It has all options, so that `--help` without a run shows them.
    if arguments and not arguments[0].startswith("-"):
        location = Run(Path(arguments[0])).recipe().data.location
    missing = tyro.MISSING
    kind = tyro.conf.AvoidSubcommands[Options]
    return tyro.cli(
        kind, args=arguments, default=Options(run=missing, location=location(missing)), prog="wholeframe evaluate"
    )
