"""`wholeframe cost MODEL`: what every module of a network costs, next to the published figures."""

import contextlib
import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import torchvision
import tyro
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from wholeframe.commands.cost_table import (
    MIB,
    blocks_add,
    blocks_cost,
    costs,
    kinds,
    module_table,
    turns_table,
    write_modules,
    write_turns,
)
from wholeframe.commands.models import table
from wholeframe.commands.plain import console
from wholeframe.commands.writable import writable
from wholeframe.explain.costs import Bar, draw_cost
from wholeframe.messages import counted, shown
from wholeframe.models.cost import Cost, Row, cost, first_line, parameters
from wholeframe.models.turns import in_turns, interval
from wholeframe.models.zoo import MODELS
from wholeframe.models.zoo.published import SIZE_UNITS, compare_figures
from wholeframe.store.read import read_header
from wholeframe.surgery.insert import remove
from wholeframe.surgery.record import blocks_of
from wholeframe.train.limits import at_least
from wholeframe.train.network_file import holds_network
from wholeframe.train.opened import Opened, open_model
from wholeframe.train.run import Run

MODULES, PICTURE, TURNS = "cost.csv", "cost.png", "turns.csv"
IMAGE = 3, 224, 224
FRAMES = 16
"""in a clip of torchvision's networks for videos"""
DETECTED = 3, 800, 1344
"""the size to which torchvision's detectors scale and pad a photograph"""


@dataclass(frozen=True)
class Options:
    """Print what every module of a network costs, next to published figures; --measure adds time and memory."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """a run folder, a file of `wf.save`, or a network of `wholeframe models`, torchvision/NAME or timm/NAME"""
    weights: str | None = None
    """of a name: a file that was saved of the network with inserted blocks, which are then inserted again; of a run:
    last or best"""
    input: tuple[int, ...] = ()
    """shape of one sample, such as 3 224 224 or 3 32 224 224; by default the published one, or that of the run"""
    batch: int = 1
    """samples in the input: multiply-adds, time and memory are those of the whole batch"""
    depth: int = 1
    """rows of the table: 1 for the modules of the network, 2 for the modules in these, and so on; a block always has a
    row of its own"""
    measure: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """also run it on this machine: time and peak memory, in turns with the same network without its blocks"""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")] = None
    """folder for cost.csv (every module), cost.png and, with --measure, turns.csv"""

    def __post_init__(self):
        at_least("batch", self.batch, 1, 1)
        at_least("depth", self.depth, 1, 1)
        if any(size < 1 for size in self.input):
            given = " ".join(map(str, self.input))
            raise ValueError(f"--input {given} has a side below 1; for an image give --input 3 224 224")


@dataclass(frozen=True)
class Subject:
    """The network whose cost is counted, or the part of it, with one of its inputs."""

    opened: Opened
    sample: tuple[int, ...]
    part: str

    @property
    def network(self) -> nn.Module:
        """The counted part."""
        return self.opened.network.get_submodule(self.part)


def main(arguments: list[str]) -> None:
    """Run `wholeframe cost`."""
    options = tyro.cli(Options, args=arguments, prog="wholeframe cost")
    for name in (MODULES, PICTURE, *([TURNS] if options.measure else [])):
        if options.out is not None:
            writable(options.out / name)
    printer = console(132)
    subject, found = _found(options)
    what = f"{shown(options.model)} on {_text(subject.sample)}{_classes(options.model, subject.opened)}"
    print(what + (f", a batch of {options.batch}" if options.batch > 1 else ""))
    of_part = f" of its {subject.part}" if subject.part else ""
    whole = parameters(subject.opened.network)
    print(f"  {whole:,} parameters, {found.macs:,} multiply-adds{of_part} (convolutions, matrix products, attention)")
    if options.model in MODELS:
        published = [row for row in compare_figures(options.model) if row.published.unit in SIZE_UNITS]
        printer.print(table(published) if published else "  no published size is known")
    rows = found.at(options.depth)
    printer.print(module_table(rows, found.total))
    if subject.part:
        print(f"the table is that of the {subject.part}; the cost of the other parts depends on what is in an image")
    if found.blocks:
        print(blocks_add(found, subject.part or "network"))
    for note in found.notes:
        print(note)
    if options.out is not None:
        write_modules(found.rows, options.out / MODULES)
        _draw(rows, found, what, options.depth, options.out / PICTURE)
    if options.measure:
        _measure(_subject(options), options)
    if options.out is not None:
        print(f"every module and the picture are in {shown(options.out)}")


def _subject(options: Options) -> Subject:
    """Open the network, and choose its input: the given one, the published one, or that of the run."""
    opened = open_model(options.model, options.weights)
    part = "backbone" if opened.kind == "detector" else ""
    if options.input:
        return Subject(opened, options.input, part)
    if options.model in MODELS:
        return Subject(opened, MODELS[options.model].input, MODELS[options.model].counted)
    if part:
        return Subject(opened, DETECTED, part)
    path = Path(options.model)
    if holds_network(path):
        return Subject(opened, read_header(path).input or IMAGE, part)
    if path.exists():
        example = Run(path if path.is_dir() else path.parent).recipe().data.example()
        assert isinstance(example, Tensor)  # A detector takes another form, and is returned above.
        return Subject(opened, tuple(example.shape[1:]), part)
    return Subject(opened, _of_library(opened.network, options.model), part)


def _of_library(network: nn.Module, name: str) -> tuple[int, ...]:
    """The input that timm or torchvision trained a network on; a 224 x 224 image where they do not say."""
    settings, bare = getattr(network, "default_cfg", None), name.rpartition("/")[2]
    if settings:  # of timm
        return tuple(settings["input_size"])
    side: Any = getattr(network, "image_size", None)
    if side:  # A vision transformer is built for one size, and its default weights may be for another.
        return 3, side, side
    if bare not in torchvision.models.list_models():
        return IMAGE
    crop = torchvision.models.get_model_weights(bare)["DEFAULT"].transforms.keywords.get("crop_size")
    if crop is None:
        return IMAGE
    return (3, crop, crop) if isinstance(crop, int) else (3, FRAMES, *crop)


def _found(options: Options) -> tuple[Subject, Cost]:
    """The network of the options, and its cost.

    The weights of a name are random, so the network is built without values where its constructor needs none: nothing
    is drawn, and no memory is taken.
    """
    if options.weights is None and not Path(options.model).exists():
        with contextlib.suppress(Exception), FakeTensorMode():  # What is wrong with the options is raised again below.
            return _counted(options)
    return _counted(options)


def _counted(options: Options) -> tuple[Subject, Cost]:
    subject = _subject(options)
    try:
        return subject, cost(subject.network, torch.empty(options.batch, *subject.sample))
    except Exception as error:  # of any kind: the network's own code says what is wrong with the input
        raise ValueError(
            f"{shown(options.model)} does not run on {_text(subject.sample)} ({first_line(error)}); "
            "for an image give --input 3 224 224, for a clip --input 3 32 224 224"
        ) from error


def _measure(subject: Subject, options: Options) -> None:
    """Time the network in turns with the same one without its blocks, and print what the blocks cost."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = subject.network.to(device)
    networks = {"the network": network}
    inserted = [block for block in blocks_of(network) if block.attached]
    if inserted:
        bare = copy.deepcopy(network)
        remove(bare)
        networks = {"with its blocks": network, "without": bare}
    example = torch.randn(options.batch, *subject.sample, device=device)
    try:
        measured = in_turns(networks, example)
    except Exception as error:  # of any kind, memory that is not there included
        raise ValueError(
            f"{shown(options.model)} cannot be measured on {_text(subject.sample)} with --batch {options.batch} "
            f"({first_line(error)}); a batch norm of one position needs a larger batch, too little memory a smaller one"
        ) from error
    printer = console(132)
    printer.print(turns_table(measured))
    if inserted:
        blocks = kinds(block.block for block in inserted)
        for line in blocks_cost(blocks, shown(options.model), *measured.values()):
            print(line)
    else:
        print(f"{shown(options.model)} has no inserted blocks, so there is nothing to compare it with")
    times = measured[next(iter(networks))]["inference"].ms
    print(
        f"a batch of {options.batch}, {device.type}, {counted(torch.get_num_threads(), 'thread')}, float32, "
        f"{len(times)} turns after one to warm up; a range encloses the median with a probability of "
        f"{interval(times).probability:.2f}; a training step is forward and backward; memory is above weights, their "
        "gradients and the input"
    )
    if options.out is not None:
        write_turns(measured, options.out / TURNS)


def _draw(rows: Sequence[Row], found: Cost, title: str, depth: int, file: Path) -> None:
    """Bars for the modules at this depth; a block is a part of the module that it is in."""
    quantities = {
        "M parameters": lambda row: row.params / 1e6,
        "G multiply-adds": lambda row: row.macs / 1e9,
        "MiB kept in training": lambda row: (row.kept or 0) / MIB,
    }
    if found.total.kept is None:
        del quantities["MiB kept in training"]
    panels: dict[str, dict[str, Bar]] = {quantity: {} for quantity in quantities}
    for row in filter(costs, rows):
        module = ".".join(row.name.split(".")[:depth]) or "the network"
        for quantity, value in quantities.items():
            bar = panels[quantity].get(module, Bar(0, 0))
            added = Bar(0, value(row)) if row.block else Bar(value(row), 0)
            panels[quantity][module] = Bar(bar.rest + added.rest, bar.blocks + added.blocks)
    blocks = kinds(row.kind for row in found.blocks) if found.blocks else ""
    draw_cost(panels, file, title, blocks)


def _classes(model: str, opened: Opened) -> str:
    number = MODELS[model].num_classes if model in MODELS else len(opened.classes or ())
    return f", {number} classes" if number else ""


def _text(sample: Sequence[int]) -> str:
    return " x ".join(map(str, sample))
