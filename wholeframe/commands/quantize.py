"""`wholeframe quantize MODEL --images DIR -o FILE`: a network with 8 bits, and what that costs on real images."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from torch import Tensor

from wholeframe.commands.export import usual_input
from wholeframe.commands.writable import writable
from wholeframe.data.image_files import images_among
from wholeframe.deploy.formats import FORMATS
from wholeframe.deploy.quantize import agreement, quantize, quantized_format
from wholeframe.messages import counted, listed, shown
from wholeframe.train.limits import at_least
from wholeframe.train.named_files import files_among
from wholeframe.train.opened import Opened, open_model


@dataclass(frozen=True)
class Options:
    """Write a network for images with 8 bits, its blocks in float, and print what that costs on images."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """a run folder, a network of `wholeframe models`, torchvision/NAME or timm/NAME"""
    images: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """photographs: some for the ranges of the activations and the difference of the outputs, and the others to compare;
    folders that are named as classes give the accuracy as well"""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    """FILE.onnx (weights and activations, for onnxruntime) or FILE.pt2 (weights of linear layers, for torch)"""
    weights: str | None = None
    """of a run: last (default) or best; of a name: DEFAULT, another name of its library, or a file"""
    calibrate: int = 32
    """images for the ranges (.onnx) and the difference of the outputs, evenly from all; at most half of them"""

    def __post_init__(self):
        at_least("calibrate", self.calibrate, 1, 32)


def main(arguments: list[str]) -> None:
    """Run `wholeframe quantize`."""
    options = tyro.cli(Options, args=arguments, prog="wholeframe quantize")
    kind = quantized_format(options.out)
    files, notes = files_among([options.images], images_among, "image")
    for note in notes:
        print(note)
    opened = open_model(options.model, options.weights)
    if opened.kind != "image":
        what = "finds objects" if opened.kind == "detector" else "takes clips"
        raise ValueError(f"{shown(options.model)} {what}, and quantize compares networks that classify images")
    chosen = _split(files, options.calibrate)
    writable(options.out)
    lost: list[str] = []
    calibration = [x for x, _ in _read(opened, chosen, lost)]
    _, normalisation = usual_input(opened)
    mean, std = normalisation or (None, None)
    print(quantize(opened.network, options.out, calibration, classes=opened.classes, mean=mean, std=std))
    others = [file for file in files if file not in set(chosen)]
    print(f"  on {counted(len(others), 'other image')}: ", end="")
    print(agreement(opened.network, FORMATS[kind].opened(options.out), _read(opened, others, lost)))
    if lost:
        print(f"  {counted(len(lost), 'image')} not read: {listed(lost, most=3, between='; ')}")
    if opened.untrained:
        print(f"  {shown(opened.untrained)}")


def _split(files: Sequence[Path], count: int) -> list[Path]:
    """The files for the ranges: evenly from all, and at most half of them."""
    if len(files) < 2:
        raise ValueError("there is 1 image, and at least one is for the ranges and one to compare; give more images")
    count = min(count, len(files) // 2)
    return [files[(2 * place + 1) * len(files) // (2 * count)] for place in range(count)]


def _read(opened: Opened, files: Iterable[Path], lost: list[str]) -> Iterator[tuple[Tensor, int | None]]:
    """The input and the class of every file that decodes; the reasons of the others are added to `lost`."""
    classes = {name: number for number, name in enumerate(opened.classes or ())}
    for file in files:
        try:
            x = opened.read(file).x
        except (ValueError, OSError) as error:
            lost.append(shown(error, 400))
        else:
            yield x, classes.get(file.parent.name)
