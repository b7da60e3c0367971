"""`wholeframe train RECIPE --data DIR --out RUN`."""

import ast
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from lightning.pytorch.callbacks import RichProgressBar

from wholeframe.commands.block_help import block_help, chosen_block, refuse_block_options
from wholeframe.messages import counted, nearest
from wholeframe.recipes import RECIPES
from wholeframe.train.devices import Devices, is_first
from wholeframe.train.fit import final_score, fit, network_for
from wholeframe.train.folder_kinds import refuse_other
from wholeframe.train.initial_weights import load_initial_weights
from wholeframe.train.inputs import Inputs, open_inputs
from wholeframe.train.inputs.clips import ClipLocation
from wholeframe.train.inputs.images import ImageLocation
from wholeframe.train.inputs.objects import ObjectLocation
from wholeframe.train.inputs.unread import write_left_out
from wholeframe.train.lock import locked
from wholeframe.train.loggers import LoggerName, refuse_logger
from wholeframe.train.longer import consequence, with_epochs
from wholeframe.train.recipe import Recipe
from wholeframe.train.resume import has_checkpoint, refuse_data, refuse_recipe, refuse_start, start_of, weights_file
from wholeframe.train.run import Run
from wholeframe.train.whole_files import digest

_RESUME = "       wholeframe train --resume RUN [--epochs N] [--data DIR] [--workers N] [options of devices]"

WEIGHT_FILES = (".bin", ".ckpt", ".pt", ".pth", ".safetensors")


@dataclass(frozen=True)
class Options:
    """Train a recipe on a folder of images, videos or images with labelled objects, and write a run folder."""

    location: tyro.conf.OmitArgPrefixes[ImageLocation | ClipLocation | ObjectLocation]
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
    """continue the run in RUN after its last checkpoint; `wholeframe train --resume RUN` needs no other option"""
    longer: tyro.conf.Suppress[bool] = False
    """whether the number of epochs may differ from that of the run"""


@dataclass(frozen=True)
class Resume:
    """Continue a run after its last checkpoint, with the recipe, the data and the devices that it was started with."""

    resume: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    """the run folder"""
    location: tyro.conf.OmitArgPrefixes[ImageLocation | ClipLocation | ObjectLocation]
    devices: tyro.conf.OmitArgPrefixes[Devices]
    epochs: int | None = None
    """another number of epochs in all; the learning rate then follows the new schedule from here on"""
    workers: int | None = None
    """processes that decode samples"""
    logger: LoggerName = "tensorboard"
    """what logs next to metrics.csv; csv for nothing else"""


def main(arguments: list[str]) -> None:
    """Run `wholeframe train`."""
    options = parse_resume(arguments) if resumes(arguments) else parse(arguments)
    refuse_logger(options.logger)
    run = Run(options.out)
    refuse_other(run.folder, "training")
    if options.resume and not run.recipe_file.is_file() and not run.last.is_file():
        raise ValueError(f"there is no run to resume in '{run.folder}'; leave --resume out to start one")
    with locked(run.folder):
        train(run, options)


def train(run: Run, options: Options) -> None:
    """Open the data, build the network, train it into the run folder, and print what comes of it."""
    recipe, path = options.recipe, options.location.path
    if options.resume and not path.exists():
        raise ValueError(f"the data of the run is not at '{path}'; give --data DIR, where it is now")
    inputs = open_inputs(recipe.data, options.location, recipe.task, recipe.seed)
    tell(inputs.describe())
    inputs.refuse_unread()
    splits = inputs.splits()
    options.devices.refuse(recipe, len(splits.val))
    network = network_for(recipe, len(splits.classes))
    if options.start is not None and not options.resume:
        tell(f"from '{options.start}': {load_initial_weights(network, options.start)}")
    # This comes last, so that a recipe that cannot be built leaves no folder.
    resume = prepare(run, options, inputs) if is_first() else options.resume and run.last.is_file()
    if is_first() and (unused := write_left_out(inputs, run.folder)):
        print(unused)
    if resume and run.epochs() >= recipe.schedule.epochs:
        tell(f"all {run.epochs()} epochs are trained already; the run is '{run.folder}'")
        return
    if options.resume and not resume and (start := start_of(run)) is not None:
        tell(f"from '{start}': {load_initial_weights(network, start)}")
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
        tell(f"interrupted; `wholeframe train --resume {run.folder}` continues after the last checkpoint")
        raise
    except SystemExit as end:
        tell(f"stopped by SIGTERM after a full step; `wholeframe train --resume {run.folder}` continues after it")
        # The first process reports the end for all; Lightning takes any other status of another for a failure.
        raise SystemExit(end.code if is_first() else 0) from end
    if failures := inputs.failures():
        tell(failures)
    score = f"val {recipe.task.score} {final_score(trainer, recipe):.4f}"
    tell(f"{score} after {counted(trainer.current_epoch, 'epoch')}; the run is '{run.folder}'")


def tell(sentence: str) -> None:
    """Print in the first process only."""
    if is_first():
        print(sentence)


def parse(arguments: list[str]) -> Options:
    """Options from the command line: the first argument names the recipe, the others replace fields of it."""
    listed = "\n".join(f"  {name:<26} {_first_line(make)}" for name, make in RECIPES.items())
    if not arguments or arguments[0].startswith("-"):
        print(f"usage: wholeframe train RECIPE --data DIR --out RUN [options]\n{_RESUME}\n\nrecipes:\n{listed}\n")
        print("wholeframe train RECIPE --help lists the options.")
        raise SystemExit(0 if arguments and arguments[0] in ("-h", "--help") else 2)
    name, *rest = arguments
    name = name.replace("-", "_")
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
    options = _with_weights_of_a_file(options)
    model = options.recipe.model
    model = dataclasses.replace(model, options={**model.options, **dict(map(_option, options.block_options))})
    refuse_block_options(model.block, model.options)
    return dataclasses.replace(options, recipe=dataclasses.replace(options.recipe, model=model))


def _with_weights_of_a_file(options: Options) -> Options:
    """`--weights FILE` is `--start FILE`; other weights are names of torchvision or timm."""
    model = options.recipe.model
    weights = Path(model.weights or "")
    if not (weights.suffix in WEIGHT_FILES or weights.is_file() or weights.parent != Path()):
        return options
    if options.start is not None:
        raise ValueError(
            f"--weights {weights} and --start {options.start} both give the initial weights; leave one of them out"
        )
    recipe = dataclasses.replace(options.recipe, model=dataclasses.replace(model, weights=None))
    return dataclasses.replace(options, recipe=recipe, start=weights)


def _option(text: str) -> tuple[str, object]:
    """`ratio=0.25` as a name and a number, `kind=dot` as a name and a string."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--block-options takes NAME=VALUE, such as ratio=0.25, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def prepare(run: Run, options: Options, inputs: Inputs) -> bool:
    """Write the run folder of a new run, or check that one can be resumed exactly; whether there is a checkpoint."""
    if options.resume:
        recipe = run.recipe()
        epochs = options.recipe.schedule.epochs
        longer = options.longer and epochs != recipe.schedule.epochs
        refuse_recipe(run, with_epochs(options.recipe, recipe.schedule.epochs) if longer else options.recipe)
        refuse_start(run, options.start)
        refuse_data(run, options.location.path, inputs.classes, inputs.samples())
        resume = has_checkpoint(run)
        if longer:
            done = run.epochs() if resume else 0
            if epochs < done:
                raise ValueError(f"--epochs {epochs} is fewer than the {done} that are trained; give more, or {done}")
            tell(consequence(recipe, done, epochs))
            run.rewrite(options.recipe)
        return resume
    if run.recipe_file.exists():
        raise ValueError(f"'{run.folder}' already holds a run; give --resume to continue it, or another --out")
    if kept := [file.name for file in (run.last, run.best) if file.exists()]:
        raise ValueError(
            f"'{run.folder}' holds {' and '.join(kept)} of a run, and its recipe.json is gone; put it back, or give "
            "another --out"
        )
    run.write(
        options.recipe,
        inputs.classes,
        str(options.location.path.absolute()),
        options.start and str(options.start.absolute()),
        inputs.samples(),
        start_sha256=options.start and digest(weights_file(options.start)),
        location=_plain(options.location),
        devices=_plain(options.devices),
    )
    return False


def _plain(options: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON can hold them."""
    fields = dataclasses.asdict(options)
    return {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in fields.items()}


def resumes(arguments: list[str]) -> bool:
    """Whether the arguments are `--resume RUN` instead of a recipe."""
    return bool(arguments) and arguments[0].startswith("-") and "--resume" in arguments


def parse_resume(arguments: list[str]) -> Options:
    """The options of a run that is resumed: those that it was started with, replaced by those of the command line."""
    following = arguments[arguments.index("--resume") + 1 :]
    if not following or following[0].startswith("-"):
        raise ValueError("--resume takes the folder of a run: `wholeframe train --resume RUN`")
    run = Run(Path(following[0]))
    recipe, record = run.recipe(), run.record()
    location = _recorded(
        recipe.data.location, {"path": record.get("data") or tyro.MISSING, **record.get("location", {})}
    )
    default = Resume(resume=run.folder, location=location, devices=_recorded(Devices, record.get("devices", {})))
    given = tyro.cli(tyro.conf.AvoidSubcommands[Resume], args=arguments, default=default, prog="wholeframe train")
    if given.workers is not None:
        recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, workers=given.workers))
    if given.epochs is not None:
        recipe = with_epochs(recipe, given.epochs)
    longer = given.epochs is not None
    return Options(given.location, given.resume, recipe, given.devices, logger=given.logger, resume=True, longer=longer)


def _recorded(kind: type, fields: dict[str, Any]) -> Any:
    """The options that a run was started with, as far as this version has them."""
    names = [field.name for field in dataclasses.fields(kind) if field.name in fields]
    values = {name: fields[name] for name in names}
    return kind(
        **values | {name: Path(values[name]) for name in ("path", "videos") if isinstance(values.get(name), str)}
    )


def _first_line(make: object) -> str:
    return (make.__doc__ or "").strip().splitlines()[0]
