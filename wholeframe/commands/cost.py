"""`wholeframe cost NAME`: parameters and multiply-adds of a network, next to the published figures."""

from dataclasses import dataclass
from typing import Annotated

import torch
import tyro
from rich.console import Console

from wholeframe.commands.models import table
from wholeframe.models.build import create_backbone
from wholeframe.models.cost import count, measure_passes
from wholeframe.models.zoo import MODELS
from wholeframe.models.zoo.published import SIZE_UNITS, compare_figures


@dataclass(frozen=True)
class Options:
    """Print parameters and multiply-adds of a network next to the published ones; --measure adds time and memory."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """a network of `wholeframe models`, torchvision/NAME or timm/NAME"""
    input: tuple[int, ...] = ()
    """shape of one sample, such as 3 224 224 or 3 32 224 224; by default the published one"""
    measure: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """also run it on this machine, one sample at a time: time and peak memory"""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Options, args=arguments, prog="wholeframe cost")
    named = MODELS.get(options.name)
    classes, sample = (named.num_classes, named.input) if named else (1000, (3, 224, 224))
    sample = options.input or sample
    shape = " x ".join(map(str, sample))
    part = named.counted if named else ""
    if part and options.measure:
        raise ValueError(
            f"--measure does not run {options.name}, whose time depends on the objects in an image; leave it out"
        )
    build = (lambda: named.make(classes)) if named else (lambda: create_backbone(options.name, classes))
    try:
        cost = count(build, sample, part)
    except RuntimeError as error:
        raise ValueError(
            f"{options.name} does not run on {shape} ({str(error).splitlines()[0]}); "
            "for an image give --input 3 224 224, for a clip --input 3 32 224 224"
        ) from error
    console = Console()
    console.width = max(console.width, 132)
    print(f"{options.name} on {shape}, {classes} classes")
    counted = f" of its {part}" if part else ""
    print(
        f"  {cost.params:,} parameters, {cost.macs:,} multiply-adds{counted} (convolutions, matrix products, attention)"
    )
    if named:
        sizes = [row for row in compare_figures(options.name) if row.published.unit in SIZE_UNITS]
        console.print(table(sizes) if sizes else "  no published size is known")
    if options.measure:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network, example = build().to(device), torch.randn(1, *sample, device=device)
        for what, run in measure_passes(network, example).items():
            print(f"  {what}: {run.ms:,.0f} ms, {run.mib:,.0f} MiB above the weights")
        print(f"  one sample, {device.type}, {torch.get_num_threads()} threads, float32")
