"""`wholeframe evaluate RUN --data DIR`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.progress import Progress
from rich.table import Column, Table
from torch import nn

from wholeframe.commands.plain import console
from wholeframe.messages import shown
from wholeframe.store.read import read_header
from wholeframe.surgery.norms import precise_bn
from wholeframe.train.evaluate import matched
from wholeframe.train.evaluations import evaluation, name_of, samples_checksum
from wholeframe.train.inputs import Inputs, open_inputs
from wholeframe.train.inputs.clips import ClipLocation
from wholeframe.train.inputs.images import ImageLocation
from wholeframe.train.inputs.objects import ObjectLocation
from wholeframe.train.inputs.unread import write_left_out
from wholeframe.train.limits import at_least
from wholeframe.train.network_file import holds_network, open_network, spec_of
from wholeframe.train.run import Run
from wholeframe.train.tasks import Task
from wholeframe.train.whole_files import digest


@dataclass(frozen=True)
class Options:
    """Accuracy, mAP or AP of a trained run on a labelled folder; the answers are saved in RUN/evaluations.

    A file of `wf.save` in place of the run has its answers saved next to it, in FILE-evaluations.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """a run folder of `wholeframe train`, or a file of `wf.save`"""
    location: tyro.conf.OmitArgPrefixes[ImageLocation | ClipLocation | ObjectLocation]
    views: Annotated[str | None, tyro.conf.arg(metavar="CLIPSxCROPS")] = None
    """of each video, 10x3 by default; 10x1 takes the centre of each clip, 10xfull the whole frame"""
    split: Literal["val", "train", "test", "all"] | None = None
    """samples to evaluate on; by default val, or all of a folder that is not split and that the run was not trained on;
    a folder has a test split if it has train/, val/ and test/"""
    weights: Literal["last", "best"] | None = None
    """of a run: last (default), after the last epoch; or best, after the epoch with the best validation score
    (optimistic on val: chosen on it)"""
    precise_bn: int = 0
    """training batches from which the batch norms take their statistics first; the released Non-local code takes 200"""

    def __post_init__(self):
        at_least("precise_bn", self.precise_bn, 0, 200)


def main(arguments: list[str]) -> None:
    """Run `wholeframe evaluate`."""
    options = parse(arguments)
    subject = _of_file(options) if holds_network(options.run) else _of_run(options)
    data, path, classes = subject.data, options.location.path, subject.classes
    views = data.test_views(options.views)
    network = subject.network()
    own = subject.run is not None and _trained_on(subject.run, path)
    inputs = open_inputs(data, options.location, subject.task, subject.seed, whole=not own and options.split is None)
    print(inputs.describe())
    split = options.split or ("val" if inputs.divided else "all")
    if split == "all" and not options.split:
        if subject.run is None:
            print(f"'{shown(path)}' is not split: all of it is evaluated")
        else:
            print(f"the run was not trained on '{shown(path)}', which is not split: all of it is evaluated")
        if subject.run is not None and (warning := _seen_in_training(subject.run, inputs)):
            print(warning)
    index = matched(inputs.classes, classes)
    if inputs.classes != classes:
        of = f"of the {len(classes)} classes of the {subject.noun}"
        print(f"labels are matched by name: {len(index)} {of} are in the data")
    batches, names = inputs.batches(split, views), inputs.names(split)

    settings = {
        "data": str(path.resolve()),
        "options": {name: str(value) for name, value in vars(options.location).items() if name != "path"},
        "split": split,
        "samples": len(names),
        "samples_sha256": samples_checksum(names),
        "views": str(views) if views else None,
        "weights": subject.weights,
        "weights_sha256": digest(subject.file),
        "precise_bn": options.precise_bn,
    }
    statistics = f"precise-bn{options.precise_bn}" if options.precise_bn else None
    name = name_of(subject.weights, split, views, statistics, None if own else path.resolve().name)
    with evaluation(subject.root, name, settings) as folder:
        if options.precise_bn:
            training = inputs.splits().train_dataloader()
            used = precise_bn(network, (data.to_input(samples) for samples, _ in training), options.precise_bn)
            of = "training batches" if inputs.divided else "batches of the samples that are evaluated"
            print(f"statistics of the batch norms from {used} {of}")
        with Progress(transient=True, console=console()) as progress:
            bar = progress.add_task("evaluating", total=len(batches))
            scores = inputs.evaluate(network, batches, subject.task, classes, lambda: progress.advance(bar))
        seen = f", {views} views each" if views else ""
        which = f"all {scores.count}" if split == "all" else f"{scores.count} {split}"
        of = f"{which} {data.noun}{seen}{subject.said}"
        written = scores.write(folder.path, names, inputs.header, classes, of)
        left_out = write_left_out(inputs, folder.path)

    header, rows = scores.table(classes)
    table = Table(Column(header[0], overflow="fold"), *header[1:])
    for name, *figures in rows:
        table.add_row(shown(name, 60), *figures)
    console().print(table)
    if failures := inputs.failures():
        print(failures)
    if left_out:
        print(f"every file that is not used is in '{shown(folder.path / 'left_out.csv')}' with the reason")
    print(f"{scores.summary(classes)} on {of}")
    print(f"{written} are in '{shown(folder.path)}'")


@dataclass(frozen=True)
class Subject:
    """The network of a run or of a file, and how it is evaluated.

    Args:
        run: None for a file.
        network: loads it.
        classes: their names.
        data: how a sample is fed.
        task: its outputs and scores.
        seed: that of the run, which chooses the samples that are held out.
        file: with the weights.
        weights: which of the run.
        root: the folder of all evaluations.
    """

    run: Run | None
    network: Callable[[], nn.Module]
    classes: tuple[str, ...]
    data: Any
    task: Task
    seed: int
    file: Path
    weights: str | None
    root: Path

    @property
    def noun(self) -> str:
        return "file" if self.run is None else "run"

    @property
    def said(self) -> str:
        """The weights, for the line of the result."""
        return "" if self.weights is None else f", weights {self.weights}"


def _of_run(options: Options) -> Subject:
    run, weights = Run(options.run), options.weights or "last"
    recipe, file = run.recipe(), run.best if weights == "best" else run.last
    root = run.folder / "evaluations"
    return Subject(
        run,
        lambda: run.network(weights),
        run.classes(),
        recipe.data,
        recipe.task,
        recipe.seed,
        file,
        weights,
        root,
    )


def _of_file(options: Options) -> Subject:
    file = options.run
    opened = open_network(file, options.weights)
    root = file.with_name(f"{file.stem}-evaluations")
    return Subject(None, lambda: opened.network, opened.classes, opened.spec, opened.task, 0, file, None, root)


def _trained_on(run: Run, path: Path) -> bool:
    """Whether a run was trained on this folder or list."""
    data = run.record().get("data")
    return data is not None and Path(data).resolve() == path.resolve()


def _seen_in_training(run: Run, inputs: Inputs) -> str:
    """A warning if most samples of a folder have the names of training samples: it may be a copy."""
    trained = {name for split, name, _ in run.samples() or () if split == "train"}
    names = {name for _, name, _ in inputs.samples()}
    seen = len(names & trained)
    if 2 * seen <= len(names):
        return ""
    return f"{seen} of {len(names)} have the names of samples that the run was trained on; --split val leaves them out"


def parse(arguments: list[str]) -> Options:
    """Options from the command line; a run or file that comes first decides between those of images and of videos."""
    location = ClipLocation  # It has all options, so that `--help` without a run shows them.
    if arguments and not arguments[0].startswith("-"):
        given = Path(arguments[0])
        spec = spec_of(read_header(given), given) if holds_network(given) else Run(given).recipe().data
        location = spec.location
    missing = tyro.MISSING
    kind = tyro.conf.AvoidSubcommands[Options]
    return tyro.cli(
        kind, args=arguments, default=Options(run=missing, location=location(missing)), prog="wholeframe evaluate"
    )
