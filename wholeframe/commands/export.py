"""`wholeframe export MODEL -o FILE`: a network as a file for other programs."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from PIL import Image
from torch import Tensor

from wholeframe.data.video.crops import COLOURS, Colours
from wholeframe.deploy.example import sample_of
from wholeframe.deploy.export import export, format_of
from wholeframe.messages import shown
from wholeframe.models.zoo import MODELS
from wholeframe.train.inputs.clips import Clips
from wholeframe.train.network_file import holds_network, open_network
from wholeframe.train.opened import Opened, open_model
from wholeframe.train.predict import clips_of
from wholeframe.train.run import Run

Normalisation = tuple[Sequence[float], Sequence[float]] | None


@dataclass(frozen=True)
class Options:
    """Write a network as ONNX, torch.export, AOTInductor or OpenVINO, and compare the file with it at several sizes."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """a run folder, a file of `wf.save`, a network of `wholeframe models`, torchvision/NAME or timm/NAME"""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    """FILE.onnx, FILE.pt2 (torch.export), FILE.aoti.pt2 (AOTInductor), or a folder for OpenVINO"""
    weights: str | None = None
    """of a run: last (default) or best; of a name: DEFAULT, another name of its library, or a file"""
    input: tuple[int, ...] = ()
    """shape of one sample, such as 3 224 224 or 3 32 224 224; by default that of the run, or the published one"""
    example: Annotated[Path | None, tyro.conf.arg(metavar="PHOTO")] = None
    """a photograph or clip that is compared first; of a detector, one with objects"""

    def __post_init__(self):
        if self.input and self.example is not None:
            raise ValueError("--input and --example both give the size of the example; leave one of them out")
        if any(size < 1 for size in self.input):
            raise ValueError(f"--input {' '.join(map(str, self.input))} has a side below 1; give such as 3 224 224")


def main(arguments: list[str]) -> None:
    """Run `wholeframe export`."""
    options = tyro.cli(Options, args=arguments, prog="wholeframe export")
    format_of(options.out)
    opened = open_model(options.model, options.weights)
    usual, normalisation = usual_input(opened)
    if options.example is not None:
        given = opened.read(options.example).x
        example: Tensor | None = given[0] if isinstance(given, list) else given
    elif options.input:
        example = _random(options.input, opened)
    else:
        example = usual
    mean, std = normalisation or (None, None)
    print(export(opened.network, options.out, example, classes=opened.classes, mean=mean, std=std))
    if opened.untrained:
        print(f"  {shown(opened.untrained)}")


def usual_input(opened: Opened) -> tuple[Tensor | None, Normalisation]:
    """The input that the network takes at its own size, and its normalisation.

    A black and a white picture become -mean / std and (1 - mean) / std, whatever opened the network. A detector
    normalises its images itself.
    """
    if opened.kind == "detector":
        return None, None
    if opened.kind == "clip":
        shape, colours = _clips(opened)
        return _random(shape, opened), COLOURS[colours]
    with tempfile.TemporaryDirectory() as folder:
        black, white = (_plain(opened, Path(folder, f"{value}.png"), value) for value in (0, 255))
    means, inverse = [], []
    for low, high in zip(black[0, :, 0, 0].tolist(), white[0, :, 0, 0].tolist(), strict=True):
        inverse.append(high - low)
        means.append(round(-low / (high - low), 6))
    return torch.randn(black.shape, generator=torch.Generator().manual_seed(0)), (
        means,
        [round(1 / each, 6) for each in inverse],
    )


def _plain(opened: Opened, file: Path, value: int) -> Tensor:
    """The input of a picture of one grey."""
    Image.new("RGB", (64, 64), (value,) * 3).save(file)
    return opened.read(file).x


def _clips(opened: Opened) -> tuple[tuple[int, ...], Colours]:
    """The shape of one clip, and how its colours are normalised."""
    path = Path(opened.name)
    if path.exists():
        spec = (
            open_network(path).spec
            if holds_network(path)
            else Run(path if path.is_dir() else path.parent).recipe().data
        )
        assert isinstance(spec, Clips)
        return (3, spec.sampling.frames, spec.size, spec.size), spec.colours
    return sample_of(opened.network), clips_of(opened.name).colours if opened.name in MODELS else "torchvision"


def _random(shape: Sequence[int], opened: Opened) -> Tensor:
    batch = () if opened.kind == "detector" else (1,)
    x = torch.randn((*batch, *shape), generator=torch.Generator().manual_seed(0))
    return x.sigmoid() if opened.kind == "detector" else x
