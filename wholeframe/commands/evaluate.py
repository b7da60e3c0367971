"""`wholeframe evaluate RUN --data DIR`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch.utils.data import DataLoader

from wholeframe.data.video.csv_lists import TimeUnit
from wholeframe.data.video.views import ONCE, PUBLISHED, read_views
from wholeframe.surgery.norms import precise_bn
from wholeframe.train.evaluate import Scores, evaluate, write_scores
from wholeframe.train.inputs import open_source
from wholeframe.train.loaders import Drawn
from wholeframe.train.recipe import Clips
from wholeframe.train.run import Run
from wholeframe.train.tasks.objective import OBJECTIVES


@dataclass(frozen=True)
class Options:
    """How often a run is right on the test images or videos of a folder; every answer goes into the run folder."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """a run folder of `wholeframe train`"""
    folder: Annotated[Path, tyro.conf.arg(name="data", metavar="DIR")]
    """images or videos, in the layout of training"""
    views: Annotated[str | None, tyro.conf.arg(metavar="CLIPSxCROPS")] = None
    """of a video: 10x3 if not given; 10x1 takes the centre of each clip, 10xfull the whole frame"""
    split: Literal["test", "train"] = "test"
    """what is held out, or what was trained on"""
    weights: Literal["last", "best"] = "last"
    """after the last epoch, or after the one with the best test score (flattering: chosen on the test data)"""
    precise_bn: int = 0
    """batches of training clips whose statistics the batch norms take first; the released Non-local code takes 200"""
    videos: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """where the videos of a list are, if not beside it"""
    unit: TimeUnit | None = None
    """what the list counts its times in, if its columns do not say"""
    strict: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """a file that does not decode is an error; otherwise it is named and left out"""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Options, args=arguments, prog="wholeframe evaluate")
    run = Run(options.run)
    recipe, classes = run.recipe(), run.classes()
    clips = isinstance(recipe.data, Clips)
    views = read_views(options.views) if options.views is not None else PUBLISHED if clips else ONCE
    network = run.network(options.weights)
    source = open_source(options.folder, recipe, videos=options.videos, unit=options.unit, strict=options.strict)
    print(source.describe())
    if source.classes != classes:
        raise ValueError(
            f"the run knows the classes {', '.join(classes)}; '{options.folder}' has {', '.join(source.classes)}"
        )
    if options.precise_bn:
        batches = source.splits().train_dataloader()
        used = precise_bn(network, (recipe.data.as_input(samples) for samples, _ in batches), options.precise_bn)
        print(f"statistics of the batch norms from {used} training batches")
    samples = Drawn(source.samples(options.split, views), recipe.seed)
    batches = DataLoader(samples, 1 if clips else recipe.data.batch, num_workers=recipe.data.workers)
    with Progress(transient=True) as progress:
        bar = progress.add_task("evaluating", total=len(batches))
        scores = evaluate(
            network,
            batches,
            OBJECTIVES[recipe.labels],
            size=recipe.data.size,
            as_input=recipe.data.as_input,
            after_batch=lambda: progress.advance(bar),
        )

    Console().print(table(scores, classes))
    if failures := source.failures():
        print(failures)
    kind = f"{options.split} clips, {views} views each" if clips else f"{options.split} images"
    print(f"{summary(scores)} on {int(scores.read.sum())} {kind}, weights {options.weights}")
    file = run.folder / f"scores-{options.weights}-{options.split}{f'-{views}' if clips else ''}.csv"
    write_scores(scores, source.names(options.split), source.header, classes, file)
    print(f"every answer is in '{file}'")


def table(scores: Scores, classes: tuple[str, ...]) -> Table:
    """Accuracy or average precision of every class."""
    rows = Table("class", "samples", "average precision" if scores.many else "accuracy")
    for name, samples, score in zip(classes, scores.samples(), scores.per_class(), strict=True):
        rows.add_row(name, str(int(samples)), f"{score:.4f}" if samples else "no sample")
    return rows


def summary(scores: Scores) -> str:
    """What papers report of it."""
    if scores.many:
        absent = int((scores.samples() == 0).sum())
        left_out = f" ({absent} classes without a sample left out)" if absent else ""
        return f"mAP {scores.mean_average_precision():.4f}{left_out}"
    top5 = f", top-5 {scores.top(5):.4f}" if scores.probabilities.shape[1] > 5 else ""
    return f"top-1 {scores.top(1):.4f}{top5}"
