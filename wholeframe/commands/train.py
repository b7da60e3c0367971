"""`wholeframe train RECIPE --data DIR --out RUN`."""

import ast
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from lightning.pytorch.callbacks import RichProgressBar

from wholeframe.commands.block_help import block_help, chosen_block, refuse_block_options
from wholeframe.messages import nearest, quoted
from wholeframe.recipes import RECIPES
from wholeframe.train.devices import Devices, is_first
from wholeframe.train.fit import final_score, fit, network_for
from wholeframe.train.initial_weights import load_initial_weights
from wholeframe.train.inputs import open_inputs
from wholeframe.train.inputs.clips import ClipLocation
from wholeframe.train.inputs.images import ImageLocation
from wholeframe.train.loggers import LoggerName, refuse_logger
from wholeframe.train.recipe import Recipe, described
from wholeframe.train.run import Run


@dataclass(frozen=True)
class Options:
    """Train a recipe on a folder of images or videos, and write a run folder."""

    location: tyro.conf.OmitArgPrefixes[ImageLocation | ClipLocation]
    out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    """the run folder to write"""
    recipe: tyro.conf.OmitArgPrefixes[Recipe]
    devices: tyro.conf.OmitArgPrefixes[Devices] = field(default_factory=Devices)
    start: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """a run, or a file of weights, to load the initial weights from; blocks that it does not have, and a last layer of
    another width, keep their own initial weights"""
    block_options: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE")] = ()
    """arguments of the block, such as ratio=0.25 or kind=dot"""
    logger: LoggerName = "tensorboard"
    """what logs next to metrics.csv; csv for nothing else"""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """continue the run in RUN after its last full epoch"""


def main(arguments: list[str]) -> None:
    """Run `wholeframe train`."""
    options = parse(arguments)
    refuse_logger(options.logger)
    run, recipe = Run(options.out), options.recipe
    inputs = open_inputs(recipe.data, options.location, recipe.task, recipe.seed)
    tell(inputs.describe())
    splits = inputs.splits()
    options.devices.refuse(recipe, len(splits.val))
    network = network_for(recipe, len(splits.classes))
    if options.start is not None:
        tell(f"from '{options.start}': {load_initial_weights(network, options.start)}")
    prepare(run, options, splits.classes)  # This comes last, so that a recipe that cannot be built leaves no folder.
    resume = options.resume and run.last.is_file()
    if resume and run.epochs() >= recipe.schedule.epochs:
        tell(f"all {run.epochs()} epochs are trained already; the run is '{run.folder}'")
        return
    bars = [RichProgressBar()]
    try:
        trainer = fit(
            recipe,
            network,
            splits,
            run,
            resume=resume,
            devices=options.devices,
            logger=options.logger,
            callbacks=bars,
        )
    except KeyboardInterrupt:
        tell(f"interrupted; --resume continues after the last full epoch in '{run.folder}'")
        raise
    if failures := inputs.failures():
        tell(failures)
    score = f"val {recipe.task.score} {final_score(trainer, recipe):.4f}"
    tell(f"{score} after {trainer.current_epoch} epochs; the run is '{run.folder}'")


def tell(sentence: str) -> None:
    """Print in the first process only."""
    if is_first():
        print(sentence)


def parse(arguments: list[str]) -> Options:
    """Options from the command line: the first argument names the recipe, the others replace fields of it."""
    listed = "\n".join(f"  {name:<15} {_first_line(make)}" for name, make in RECIPES.items())
    if not arguments or arguments[0].startswith("-"):
        print(f"usage: wholeframe train RECIPE --data DIR --out RUN [options]\n\nrecipes:\n{listed}\n")
        print("wholeframe train RECIPE --help lists the options.")
        raise SystemExit(0 if arguments and arguments[0] in ("-h", "--help") else 2)
    name, *rest = arguments
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; {nearest(name, RECIPES)}")
    recipe = RECIPES[name]()
    missing = tyro.MISSING
    default = Options(location=recipe.data.location(missing), out=missing, recipe=recipe)
    # A recipe chooses a kind of data, an optimiser and a rate; only the options of its choice are offered.
    kind = tyro.conf.AvoidSubcommands[Options]
    try:
        options = tyro.cli(kind, args=rest, default=default, prog=f"wholeframe train {name}")
    except SystemExit as end:
        if end.code == 0:  # the help
            print(block_help(chosen_block(rest, recipe.model.block)))
        raise
    model = options.recipe.model
    model = dataclasses.replace(model, options={**model.options, **dict(map(_option, options.block_options))})
    refuse_block_options(model.block, model.options)
    return dataclasses.replace(options, recipe=dataclasses.replace(options.recipe, model=model))


def _option(text: str) -> tuple[str, object]:
    """`ratio=0.25` as a name and a number, `kind=dot` as a name and a string."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--block-options takes NAME=VALUE, such as ratio=0.25, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def prepare(run: Run, options: Options, classes: tuple[str, ...]) -> None:
    """Write the run folder, or check that a resumed run has the same recipe and classes."""
    if not is_first():  # One process writes for all.
        return
    if not run.recipe_file.is_file():
        if options.resume:
            raise ValueError(f"there is no run to resume in '{run.folder}'; leave --resume out to start one")
        run.write(options.recipe, classes, str(options.location.path), options.start and str(options.start))
        return
    if not options.resume:
        raise ValueError(f"'{run.folder}' already holds a run; give --resume to continue it, or another --out")
    if changed := _differences(described(run.recipe()), described(options.recipe)):
        raise ValueError(
            f"the run in '{run.folder}' was started with another recipe ({'; '.join(changed)}); resume it with the "
            "options it was started with"
        )
    if run.classes() != classes:
        raise ValueError(
            f"the run in '{run.folder}' has the classes {quoted(run.classes())}, but '{options.location.path}' has "
            f"{quoted(classes)}; resume it with the data it was started with"
        )


def _differences(there: dict, here: dict, prefix: str = "") -> list[str]:
    changed = []
    for key, value in there.items():
        now = here.get(key)
        if isinstance(value, dict) and isinstance(now, dict) and key != "options":
            changed += _differences(value, now, f"{prefix}{key}.")
        elif value != now:
            changed.append(f"{prefix}{key} was {value!r} and is now {now!r}")
    return changed


def _first_line(make: object) -> str:
    return (make.__doc__ or "").strip().splitlines()[0]
