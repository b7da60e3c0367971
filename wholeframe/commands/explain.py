"""`wholeframe explain MODEL PHOTO|CLIP -o PICTURE`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro

from wholeframe.commands import explain_page
from wholeframe.commands.explain_page import on_page
from wholeframe.commands.writable import writable
from wholeframe.data.raster import is_raster
from wholeframe.explain.figures import drawable
from wholeframe.explain.pictures.draw import draw_strips
from wholeframe.explain.pictures.moving import SUFFIXES, draw_moving, refuse_moving
from wholeframe.explain.pictures.panels import compared, strips_of
from wholeframe.explain.pictures.scene import Pixel, Scene, View, spread
from wholeframe.explain.pictures.words import at, described
from wholeframe.explain.recording import Recording, check_query
from wholeframe.messages import listed, shown
from wholeframe.train.limits import at_least
from wholeframe.train.opened import Given, Opened, open_model

PICTURE = ".png"


@dataclass(frozen=True)
class Options:
    """Draw what the blocks of a network look at, from chosen positions of a photograph or a clip.

    `-o PAGE.html` writes a page to click on instead, and `--serve` in place of -o makes pages of pictures that are
    dropped: see `wholeframe explain --serve --help`.
    """

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """a run folder of `wholeframe train`, a checkpoint in one, a file of `wf.save`, a network of `wholeframe models`,
    torchvision/NAME or timm/NAME"""
    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO|CLIP")]
    """an image file, or a video for a network that takes clips; several are drawn below each other"""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    """the picture to write, .png; of a clip also a moving one, .gif or .mp4"""
    query: Annotated[tuple[tuple[int, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="[T] Y X")] = ()
    """a query pixel: row from the top, column from the left; in a clip its frame first, from 0. Can be given several
    times; by default the centre"""
    queries: int | None = None
    """instead of --query: this number of pixels, spread over the picture: do the maps depend on the query?"""
    site: str | None = None
    """the site of one block; by default every block"""
    against: Annotated[str | None, tyro.conf.arg(metavar="MODEL")] = None
    """a second network, whose maps are drawn next to those of the first"""
    top: int | None = None
    """draw arrows to this number of strongest keys: 20 by default in a clip, heat maps by default over a photograph"""
    weights: str | None = None
    """of a run: last (default) or best; of a named network: a file of weights, a run, or DEFAULT for those of its
    library; without them its weights are random"""


def main(arguments: list[str]) -> None:
    """Run `wholeframe explain`."""
    if on_page(arguments):
        explain_page.main(arguments, _read)
        return
    options = tyro.cli(Options, args=arguments, prog="wholeframe explain")
    _refuse(options)
    networks = _networks(options)
    notes = dict.fromkeys(network.untrained for network in networks if network.untrained)
    given = [_inputs(networks, file) for file in options.files]
    queries = [
        _queries(options, inputs[0].picture.shape[:-1], file) for inputs, file in zip(given, options.files, strict=True)
    ]
    writable(options.out)
    views: list[list[View]] = []
    for file, inputs, pixels in zip(options.files, given, queries, strict=True):
        row = []
        for network, each in zip(networks, inputs, strict=True):
            view, said = _view(options, network, each, pixels, file)
            row.append(view)
            notes |= dict.fromkeys(said)
        views.append(row)
    if options.out.suffix.lower() in SUFFIXES:
        draw_moving([view for row in views for view in row], options.out)
    elif options.against is not None:
        draw_strips([strip for row in views for strip in compared(row, options.top)], options.out)
    else:
        draw_strips([strip for (view,) in views for strip in strips_of(view, options.top)], options.out)
    _print(options, networks, views)
    for note in notes:
        print(note)


def _refuse(options: Options) -> None:
    """Refuse options that do not go together, before anything is read."""
    if not options.files:
        raise ValueError("no photograph and no clip is given; give a file after the network")
    if options.query and options.queries is not None:
        raise ValueError("--query and --queries are both given; give pixels, or their number")
    for name in ("queries", "top"):
        if (value := getattr(options, name)) is not None:
            at_least(name, value, 1, 6 if name == "queries" else 20)
    kind = options.out.suffix.lower()
    if kind not in (PICTURE, *SUFFIXES):
        raise ValueError(
            f"a picture is written as PNG, and of a clip also as GIF or MP4: give -o "
            f"{shown(options.out.with_suffix(PICTURE))}"
        )
    if kind in SUFFIXES and options.top is not None:
        raise ValueError(f"--top {options.top} draws arrows, and a moving picture has heat maps; give -o with .png")
    for file in options.files:
        if options.out.resolve() == file.resolve():
            raise ValueError(f"the picture would replace the photograph '{shown(file)}'; give -o another file")


def _networks(options: Options) -> list[Opened]:
    """The network, and the one that it is drawn against. Those without trained weights are the same in every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = open_model(options.model, options.weights)
        others = [] if options.against is None else [open_model(options.against)]
    moving = options.out.suffix.lower() in SUFFIXES
    if moving and first.kind != "clip":
        raise ValueError(
            f"{shown(first.name)} takes photographs, which do not move; give -o "
            f"{shown(options.out.with_suffix(PICTURE))}"
        )
    if moving:
        refuse_moving(options.out)
    for other in others:
        if (other.kind == "clip") != (first.kind == "clip"):
            raise ValueError(
                f"{shown(first.name)} takes {_noun(first)}s and {shown(other.name)} {_noun(other)}s, so they cannot "
                "look at the same; give two networks for the same kind of input"
            )
    return [first, *others]


def _noun(network: Opened) -> str:
    return "clip" if network.kind == "clip" else "photograph"


def _inputs(networks: Sequence[Opened], file: Path) -> list[Given]:
    """A file as the input of each network. ValueError if they do not see the same of it."""
    inputs = [_read(network, file) for network in networks]
    first, last = inputs[0].picture, inputs[-1].picture
    if not np.array_equal(first, last):
        one, other = (" x ".join(map(str, picture.shape[:-1])) for picture in (first, last))
        raise ValueError(
            f"of '{shown(file)}' {shown(networks[0].name)} sees {one} and {shown(networks[-1].name)} {other} pixels of "
            "other frames or another part, so a query is not the same in both; give networks with the same input"
        )
    return inputs


def _read(network: Opened, file: Path) -> Given:
    try:
        return network.read(file)
    except ValueError as error:
        if network.kind == "clip" and is_raster(file):
            raise ValueError(
                f"'{shown(file)}' is a photograph, and {shown(network.name)} takes clips; give a video, or a network "
                "for photographs, such as r50_nl5"
            ) from error
        if network.kind != "clip" and _is_video(file):
            raise ValueError(
                f"'{shown(file)}' is a video, and {shown(network.name)} takes photographs; give a photograph, or a "
                "network for clips, such as i3d_r50_nl5"
            ) from error
        raise


def _is_video(file: Path) -> bool:
    try:
        from wholeframe.data.video.extensions import is_video
    except ImportError:  # Without PyAV, an optional extra, no file is known to be a video.
        return False
    return is_video(file)


def _queries(options: Options, size: Sequence[int], file: Path) -> list[Pixel]:
    """The queries in pixels of the picture."""
    if not options.query:
        return spread(options.queries or 1, size)
    try:
        return [check_query(query, size) for query in options.query]
    except ValueError as error:
        raise ValueError(f"'{shown(file)}': {error}") from error


def _view(
    options: Options, network: Opened, given: Given, queries: Sequence[Pixel], file: Path
) -> tuple[View, list[str]]:
    """What a network looks at in one file, and the sentences about it."""
    recording = Recording(network.network, given.x)
    found, notes = [], [] if given.note is None else [given.note]
    for query in queries:
        maps, said = recording.look(given.query(query), options.site)
        found.append([each.scaled(given.factors) for each in maps])
        notes += said
    depends = any(each.cell is not None for maps in found for each in maps)
    labels = [_label(*each, len(queries)) if depends else _noun(network) for each in enumerate(queries, 1)]
    if depends and not options.query:
        where = "at the centre" if len(queries) == 1 else "spread over the picture"
        notes.append(f"no --query is given, so the queries are {where}: {listed(map(at, queries), between='; ')}")
    title = network.name if options.against else file.name if len(options.files) > 1 else ""
    if options.against and len(options.files) > 1:
        labels = [f"{drawable(file.name)}\n{label}".strip() for label in labels]
    clip = network.kind == "clip"
    scene = Scene(given.picture if clip else given.picture[None], clip)
    return View(scene, found, queries, labels, title), notes


def _label(number: int, query: Pixel, count: int) -> str:
    return f"query {number}: {at(query)}" if count > 1 else f"query {at(query)}"


def _print(options: Options, networks: Sequence[Opened], views: Sequence[Sequence[View]]) -> None:
    """The picture, and what it has of every file and network."""
    if len(options.files) == 1 and options.against is None:
        print(f"{shown(options.out)}: {', '.join(described(views[0][0]))}")
        return
    print(f"{shown(options.out)}:")
    for file, row in zip(options.files, views, strict=True):
        for network, view in zip(networks, row, strict=True):
            of = f", {shown(network.name)}" if options.against else ""
            print(f"  {shown(file)}{of}: {', '.join(described(view))}")
