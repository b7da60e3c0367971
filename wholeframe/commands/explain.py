"""`wholeframe explain RUN PHOTO --query Y X -o PICTURE`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from wholeframe.commands.writable import writable
from wholeframe.data.images import read_image, whole_image
from wholeframe.explain.attention import Attention
from wholeframe.explain.figures import draw_attention
from wholeframe.explain.found import refuse_thin
from wholeframe.explain.recording import Recording, check_query
from wholeframe.messages import shown
from wholeframe.train.inputs.images import Images
from wholeframe.train.inputs.objects import Objects
from wholeframe.train.predict_objects import as_input
from wholeframe.train.run import Run


@dataclass(frozen=True)
class Options:
    """Draw the attention of the blocks of a run for one pixel of a photograph."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """a run folder of `wholeframe train`"""
    photo: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO")]
    """an image file"""
    query: Annotated[tuple[int, int], tyro.conf.arg(metavar="Y X")]
    """the query pixel: row from the top, column from the left"""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="PICTURE")]
    """the PNG to write"""
    site: str | None = None
    """the site of one block; by default every block with attention"""
    weights: Literal["last", "best"] = "last"
    """from the last epoch, or from the epoch with the best validation score"""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Options, args=arguments, prog="wholeframe explain")
    if options.out.suffix.lower() != ".png":
        raise ValueError(f"a picture is written as PNG: give -o {shown(options.out.with_suffix('.png'))}")
    if options.out.resolve() == options.photo.resolve():
        raise ValueError(f"the picture would replace the photograph '{shown(options.photo)}'; give -o another file")
    run = Run(options.run)
    data = run.recipe().data
    if not isinstance(data, Images | Objects):
        raise ValueError(f"'{shown(run.folder)}' was trained on {data.noun}, and explain takes runs trained on images")
    photo = read_image(options.photo)
    size = (photo.height, photo.width)
    check_query(options.query, size)
    network = run.network(options.weights)
    if isinstance(data, Objects):  # A detector scales the photograph itself.
        refuse_thin(network, size)
        image, query = as_input(photo)[None], options.query
    else:
        image = whole_image(data.size)(photo)[None]
        scaled = zip(options.query, size, image.shape[2:], strict=True)
        query = tuple((2 * pixel + 1) * now // (2 * side) for pixel, side, now in scaled)
    writable(options.out)
    found, notes = Recording(network, image).look(query, options.site)
    found = [each.scaled([side / now for side, now in zip(size, image.shape[2:], strict=True)]) for each in found]
    draw_attention(np.asarray(photo), options.query, found, options.out)
    print(f"{shown(options.out)}: {', '.join(described(each, size) for each in found)}")
    for note in notes:
        print(note)


def described(found: Attention, size: tuple[int, int]) -> str:
    """A map in words: its block, the cell of the query, and the part of the weights that is on padding."""
    cell = f"query cell {found.cell}" if found.cell else "one map for all queries"
    region = " on the region that contains the query" if found.region else ""
    padding = found.on_padding(size)
    padded = f" ({padding:.0%} of the weights on the padding of the detector)" if padding >= 0.005 else ""
    return f"{found.block} at {found.site}, {cell}{region}{padded}"
