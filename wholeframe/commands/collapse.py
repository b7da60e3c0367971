"""`wholeframe collapse MODEL --site SITE --calibration DIR --check DIR`: whether one query would do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from wholeframe.commands.sampled import sampled
from wholeframe.commands.writable import writable
from wholeframe.explain.collapse import collapse_or_keep
from wholeframe.messages import shown
from wholeframe.train.limits import at_least
from wholeframe.train.opened import open_model


@dataclass(frozen=True)
class Options:
    """Replace a non-local block by the simplified one with its mean query, and measure what changes on other images."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """a run folder of `wholeframe train`, a file of `wf.save`, or a network of `wholeframe models`, torchvision/NAME or
    timm/NAME"""
    site: str
    """the site of the block, as `wholeframe dependence` prints it"""
    calibration: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """a folder of images (or videos) that choose the query"""
    check: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """a folder of other images, on which the replacement is measured"""
    images: int = 128
    """the largest number of images of either folder; they are chosen at random"""
    seed: int = 0
    """of the choice"""
    tolerance: float = 0.03
    """the largest share of change of the branch and of the predictions; no value is safe for every network"""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """save the weights with the new block as .pt, if it takes the place: `wf.restore(backbone, FILE)` reads them"""
    weights: str | None = None
    """of a run: last (default) or best; of a name: a file, or DEFAULT for those of its library"""

    def __post_init__(self):
        at_least("images", self.images, 1, 128)
        if self.out is not None and self.out.suffix != ".pt":
            raise ValueError(f"weights are saved as .pt, got -o '{shown(self.out)}'")


def main(arguments: list[str]) -> None:
    options = tyro.cli(Options, args=arguments, prog="wholeframe collapse")
    if options.out is not None:
        writable(options.out)
    opened = open_model(options.model, options.weights)
    if opened.untrained is not None:
        print(opened.untrained)
    calibration, check = (
        sampled(opened, folder, options.images, options.seed) for folder in (options.calibration, options.check)
    )
    found = collapse_or_keep(opened.network, options.site, calibration, check, options.tolerance)
    print(found)
    for note in (*calibration.notes(), *check.notes()):
        print(note)
    if options.out is None:
        return
    if found.replaced:
        torch.save(opened.network.state_dict(), options.out)
        print(f"the weights with the new block are in '{shown(options.out)}'")
    else:
        print(f"'{shown(options.out)}' is not written, because the block stays")
