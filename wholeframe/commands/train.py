"""`wholeframe train RECIPE --data DIR --out RUN`."""

import ast
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from lightning.pytorch.callbacks import RichProgressBar

from wholeframe.blocks.options import nearest
from wholeframe.data.folders import open_folder
from wholeframe.recipes import RECIPES
from wholeframe.train.fit import final_accuracy, fit, network_for
from wholeframe.train.loaders import folder_splits
from wholeframe.train.recipe import Recipe
from wholeframe.train.run import Run


@dataclass(frozen=True)
class Options:
    """Train a recipe on a folder of images, one folder per class, into a run folder."""

    folder: Annotated[Path, tyro.conf.arg(name="data", metavar="DIR")]
    """images: DIR/train/CLASS/* and DIR/test/CLASS/*, or DIR/CLASS/*"""
    out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    """the run folder to write"""
    recipe: tyro.conf.OmitArgPrefixes[Recipe]
    block_options: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE")] = ()
    """arguments of the block, such as ratio=0.25 or kind=dot"""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """continue the run in RUN from its last full epoch"""
    strict: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """an image that does not decode is an error; otherwise it is named and left out"""


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    run = Run(options.out)
    folder = open_folder(
        options.folder,
        test_fraction=options.recipe.data.test_fraction,
        seed=options.recipe.seed,
        strict=options.strict,
    )
    print(folder.describe())
    splits = folder_splits(folder, options.recipe.data, options.recipe.seed)
    network = network_for(options.recipe, len(splits.classes))
    prepare(run, options, splits.classes)  # last: a recipe that cannot be built leaves no run behind
    resume = options.resume and run.last.is_file()
    if resume and run.epochs() >= options.recipe.schedule.epochs:
        print(f"all {run.epochs()} epochs are trained already; the run is '{run.folder}'")
        return
    trainer = fit(options.recipe, network, splits, run, resume=resume, callbacks=[RichProgressBar()])
    print(
        f"test accuracy {final_accuracy(trainer):.4f} after {trainer.current_epoch} epochs; the run is '{run.folder}'"
    )


def parse(arguments: list[str]) -> Options:
    """The first argument names the recipe; options override its leaves."""
    listed = "\n".join(f"  {name:<10} {_first_line(make)}" for name, make in RECIPES.items())
    if not arguments or arguments[0].startswith("-"):
        print(f"usage: wholeframe train RECIPE --data DIR --out RUN [options]\n\nrecipes:\n{listed}\n")
        print("wholeframe train RECIPE --help lists the options.")
        raise SystemExit(0 if arguments and arguments[0] in ("-h", "--help") else 2)
    name, *rest = arguments
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; {nearest(name, RECIPES)}")
    missing = tyro.MISSING
    default = Options(folder=missing, out=missing, recipe=RECIPES[name]())
    options = tyro.cli(Options, args=rest, default=default, prog=f"wholeframe train {name}")
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
    """Write the run's record, or hold a resumed run to the one it has."""
    if not run.recipe_file.is_file():
        if options.resume:
            raise ValueError(f"there is no run in '{run.folder}' to resume; leave --resume out to start one")
        run.write(options.recipe, classes, str(options.folder))
        return
    if not options.resume:
        raise ValueError(f"'{run.folder}' holds a run already; give --resume to continue it, or another --out")
    if changed := _differences(dataclasses.asdict(run.recipe()), dataclasses.asdict(options.recipe)):
        raise ValueError(
            f"the run in '{run.folder}' was started with another recipe ({'; '.join(changed)}); resume it with the "
            "options it was started with"
        )
    if run.classes() != classes:
        raise ValueError(f"the run in '{run.folder}' has the classes {run.classes()}, the data has {classes}")


def _differences(there: dict, here: dict, prefix: str = "") -> list[str]:
    changed = []
    for key, value in there.items():
        if isinstance(value, dict) and key != "options":
            changed += _differences(value, here[key], f"{prefix}{key}.")
        elif value != here[key]:
            changed.append(f"{prefix}{key} was {value!r} and is now {here[key]!r}")
    return changed


def _first_line(make: object) -> str:
    return (make.__doc__ or "").strip().splitlines()[0]
