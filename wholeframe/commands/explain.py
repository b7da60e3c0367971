"""`wholeframe explain RUN PHOTO --query Y X -o PICTURE`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from wholeframe.commands.writable import writable
from wholeframe.data.images import read_image, whole_image
from wholeframe.explain.attention import attention, check_query
from wholeframe.explain.figures import draw_attention
from wholeframe.messages import shown
from wholeframe.train.inputs.images import Images
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
    """from the last epoch, or from the epoch with the best validation accuracy"""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Options, args=arguments, prog="wholeframe explain")
    if options.out.suffix.lower() != ".png":
        raise ValueError(f"a picture is written as PNG: give -o {shown(options.out.with_suffix('.png'))}")
    if options.out.resolve() == options.photo.resolve():
        raise ValueError(f"the picture would replace the photograph '{shown(options.photo)}'; give -o another file")
    run = Run(options.run)
    data = run.recipe().data
    if not isinstance(data, Images):
        raise ValueError(f"'{shown(run.folder)}' was trained on {data.noun}, and explain takes runs trained on images")
    photo = read_image(options.photo)
    check_query(options.query, (photo.height, photo.width))
    image = whole_image(data.size)(photo)[None]
    query = tuple(
        pixel * now // before
        for pixel, now, before in zip(options.query, image.shape[2:], (photo.height, photo.width), strict=True)
    )
    writable(options.out)
    found = attention(run.network(options.weights), image, query, options.site)
    draw_attention(np.asarray(photo), options.query, found, options.out)
    cells = [f"query cell {a.cell}" if a.cell else "one map for all queries" for a in found]
    named = ", ".join(f"{a.block} at {a.site}, {cell}" for a, cell in zip(found, cells, strict=True))
    print(f"{shown(options.out)}: {named}")
