"""`wholeframe curves RUN [RUN ...] -o curves.png`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from wholeframe.commands.writable import writable
from wholeframe.explain.curves import draw_learning, refuse_mixed
from wholeframe.messages import shown
from wholeframe.train.learning import curves_text, learning_curve
from wholeframe.train.network_file import holds_network
from wholeframe.train.run import Run
from wholeframe.train.whole_files import write_text


@dataclass(frozen=True)
class Options:
    """Draw the error and the loss of trainings by epoch, of several runs over each other."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN ...]")]
    """run folders of `wholeframe train`, finished or not"""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    """the file to write: a picture, .png, or the numbers, .csv"""

    def __post_init__(self):
        if not self.runs:
            raise ValueError("no run is given; give run folders: wholeframe curves RUN [RUN ...] -o curves.png")
        if self.out.suffix.lower() not in (".png", ".csv"):
            raise ValueError(
                f"curves are written as a picture or as numbers, not as '{shown(self.out.name)}': give -o "
                f"{shown(self.out.with_suffix('.png'))} or -o {shown(self.out.with_suffix('.csv'))}"
            )


def main(arguments: list[str]) -> None:
    """Run `wholeframe curves`."""
    options = tyro.cli(Options, args=arguments, prog="wholeframe curves")
    curves, notes = [], []
    for folder, name in zip(options.runs, names_of(options.runs), strict=True):
        if holds_network(folder):
            raise ValueError(f"'{shown(folder)}' has a network and not its training; give the run folder it comes from")
        curve, lacks = learning_curve(Run(folder), name)
        curves.append(curve)
        notes += lacks
    refuse_mixed(curves)
    writable(options.out)
    if options.out.suffix.lower() == ".png":
        draw_learning(curves, options.out)
    else:
        write_text(options.out, curves_text(curves))
    print(f"{shown(options.out)}:")
    for curve in curves:
        print(f"  {shown(curve.name)}: {curve.described()}")
    for note in notes:
        print(note)


def names_of(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths, from the last folder on, that distinguish the folders."""
    paths = [folder.resolve().parts for folder in folders]
    for index, path in enumerate(paths):
        if path in paths[:index]:
            raise ValueError(f"the run '{shown(folders[index])}' is given twice; give each run once")
    longest = max(map(len, paths))
    ends = (["/".join(path[-length:]) for path in paths] for length in range(1, longest + 1))
    return next(names for names in ends if len(set(names)) == len(names))
