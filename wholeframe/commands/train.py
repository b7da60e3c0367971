"""`wholeframe train RECIPE --data DIR --out RUN`."""

import ast
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from lightning.pytorch.callbacks import RichProgressBar

from wholeframe.data.video.csv_lists import TimeUnit
from wholeframe.messages import nearest
from wholeframe.recipes import RECIPES
from wholeframe.train.devices import Machines, is_first
from wholeframe.train.fit import final_score, fit, network_for
from wholeframe.train.initial_weights import start
from wholeframe.train.inputs import open_source
from wholeframe.train.recipe import Recipe, described
from wholeframe.train.run import Run
from wholeframe.train.tasks.objective import OBJECTIVES


@dataclass(frozen=True)
class Options:
    """Train a recipe on a folder of images or videos into a run folder."""

    folder: Annotated[Path, tyro.conf.arg(name="data", metavar="DIR")]
    """DIR/train/CLASS/* and DIR/test/CLASS/*, or DIR/CLASS/*; of videos also a list, or a folder with one"""
    out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    """the run folder to write"""
    recipe: tyro.conf.OmitArgPrefixes[Recipe]
    machines: tyro.conf.OmitArgPrefixes[Machines] = field(default_factory=Machines)
    videos: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """where the videos of a list are, if not beside it"""
    unit: TimeUnit | None = None
    """what the list counts its times in, if its columns do not say"""
    start: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """a run, or a file of weights, to begin from; blocks it does not have, and another last layer, begin anew"""
    block_options: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE")] = ()
    """arguments of the block, such as ratio=0.25 or kind=dot"""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """continue the run in RUN from its last full epoch"""
    strict: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """a file that does not decode is an error; otherwise it is named and left out"""


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    run, recipe = Run(options.out), options.recipe
    source = open_source(options.folder, recipe, videos=options.videos, unit=options.unit, strict=options.strict)
    tell(source.describe())
    splits = source.splits()
    options.machines.refuse(recipe, len(splits.test))
    network = network_for(recipe, len(splits.classes))
    if options.start is not None:
        tell(f"from '{options.start}': {start(network, options.start)}")
    prepare(run, options, splits.classes)  # last: a recipe that cannot be built leaves no run behind
    resume = options.resume and run.last.is_file()
    if resume and run.epochs() >= recipe.schedule.epochs:
        tell(f"all {run.epochs()} epochs are trained already; the run is '{run.folder}'")
        return
    bars = [RichProgressBar()]
    try:
        trainer = fit(recipe, network, splits, run, resume=resume, machines=options.machines, callbacks=bars)
    except KeyboardInterrupt:
        tell(f"stopped by hand; with --resume the run goes on from the last full epoch in '{run.folder}'")
        raise
    if failures := source.failures():
        tell(failures)
    score = f"test {OBJECTIVES[recipe.labels].score} {final_score(trainer, recipe):.4f}"
    tell(f"{score} after {trainer.current_epoch} epochs; the run is '{run.folder}'")


def tell(sentence: str) -> None:
    """Print once, however many processes train."""
    if is_first():
        print(sentence)


def parse(arguments: list[str]) -> Options:
    """The first argument names the recipe; options override its leaves."""
    listed = "\n".join(f"  {name:<15} {_first_line(make)}" for name, make in RECIPES.items())
    if not arguments or arguments[0].startswith("-"):
        print(f"usage: wholeframe train RECIPE --data DIR --out RUN [options]\n\nrecipes:\n{listed}\n")
        print("wholeframe train RECIPE --help lists the options.")
        raise SystemExit(0 if arguments and arguments[0] in ("-h", "--help") else 2)
    name, *rest = arguments
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; {nearest(name, RECIPES)}")
    missing = tyro.MISSING
    default = Options(folder=missing, out=missing, recipe=RECIPES[name]())
    # A recipe has chosen among optimisers and rates; options change the leaves of what it chose.
    kind = tyro.conf.AvoidSubcommands[Options]
    options = tyro.cli(kind, args=rest, default=default, prog=f"wholeframe train {name}")
    model = options.recipe.model
    model = dataclasses.replace(model, options={**model.options, **dict(map(_option, options.block_options))})
    return dataclasses.replace(options, recipe=dataclasses.replace(options.recipe, model=model))


def _option(text: str) -> tuple[str, object]:
    """`ratio=0.25` as a name and a number, `kind=dot` as a name and a string."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--block-options takes NAME=VALUE, such as ratio=0.25, and not {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def prepare(run: Run, options: Options, classes: tuple[str, ...]) -> None:
    """Write the run's record, or hold a resumed run to the one it has; the first of several processes does that."""
    if not is_first():
        return
    if not run.recipe_file.is_file():
        if options.resume:
            raise ValueError(f"there is no run in '{run.folder}' to resume; leave --resume out to start one")
        run.write(options.recipe, classes, str(options.folder), options.start and str(options.start))
        return
    if not options.resume:
        raise ValueError(f"'{run.folder}' holds a run already; give --resume to continue it, or another --out")
    if changed := _differences(described(run.recipe()), described(options.recipe)):
        raise ValueError(
            f"the run in '{run.folder}' was started with another recipe ({'; '.join(changed)}); resume it with the "
            "options it was started with"
        )
    if run.classes() != classes:
        raise ValueError(f"the run in '{run.folder}' has the classes {run.classes()}, the data has {classes}")


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
