"""`wholeframe explain MODEL PHOTO|CLIP -o PAGE.html`, and `wholeframe explain MODEL --serve`."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from wholeframe.commands.writable import writable
from wholeframe.explain.attention import outer_blocks
from wholeframe.explain.page import html_page
from wholeframe.explain.page.server import PageServer
from wholeframe.explain.recording import Recording
from wholeframe.messages import listed, shown
from wholeframe.train.opened import Given, Opened, open_model

Read = Callable[[Opened, Path], Given]
"""Reads a file as the input of a network; ValueError for one that is not."""

PAGE = (".html", ".htm")
DRAWN = ("--query", "--queries", "--site", "--against", "--top")
"""Options of a picture, which a reader of a page chooses on the page."""


@dataclass(frozen=True)
class Options:
    """Write a page on which a reader clicks and sees where every block looks, or serve pages of dropped files."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """a run folder of `wholeframe train`, a checkpoint in one, a network of `wholeframe models`, torchvision/NAME or
    timm/NAME"""
    file: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO|CLIP")] = None
    """an image file, or a video for a network that takes clips; with --serve the first that is shown"""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="PAGE.html")] = None
    """the page to write: one file, which needs no network"""
    serve: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """serve the page on this machine alone, until Ctrl-C, and make one of each file that is dropped on it"""
    weights: str | None = None
    """of a run: last (default) or best; of a named network: a file of weights, a run, or DEFAULT for those of its
    library; without them its weights are random"""

    def __post_init__(self):
        if self.serve and self.out is not None:
            raise ValueError("--serve and -o are both given; a served page has a link that saves it")
        if not self.serve and self.file is None:
            raise ValueError("no photograph and no clip is given; give a file after the network, or --serve")


def on_page(arguments: Sequence[str]) -> bool:
    """Whether these arguments of `wholeframe explain` ask for a page."""
    return "--serve" in arguments or any(argument.lower().endswith(PAGE) for argument in arguments)


def main(arguments: list[str], read: Read) -> None:
    """Run `wholeframe explain` for a page."""
    if drawn := [name for name in DRAWN if any(each.partition("=")[0] == name for each in arguments)]:
        raise ValueError(
            f"{listed(drawn)}: a picture takes {'this option' if len(drawn) == 1 else 'these options'}, and on a page "
            "the reader chooses positions and blocks; leave out what is named, or give -o with .png"
        )
    options = tyro.cli(Options, args=arguments, prog="wholeframe explain")
    if options.out is not None and options.out.suffix.lower() not in PAGE:
        raise ValueError(f"a page is written as HTML; give -o {shown(options.out.with_suffix('.html'))}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # Weights that are not trained are the same in every call.
        network = open_model(options.model, options.weights)
    if options.out is None:
        _serve(network, read, options.file)
    elif options.file is not None:
        _save(network, read, options.file, options.out)


def _page(network: Opened, given: Given, name: str) -> str:
    notes = [network.untrained] if network.untrained else []
    recording = Recording(network.network, given.x)
    return html_page(recording, given.picture, name=name, model=network.name, notes=notes)


def _save(network: Opened, read: Read, file: Path, out: Path) -> None:
    if out.resolve() == file.resolve():
        raise ValueError(f"the page would replace '{shown(file)}'; give -o another file")
    given = read(network, file)
    writable(out)
    page = _page(network, given, file.name)
    out.write_text(page, encoding="utf-8")
    print(f"{shown(out)}: {len(page.encode()) / 2**20:.1f} MiB; open it in a browser and click on the picture")
    if network.untrained:
        print(network.untrained)


def _serve(network: Opened, read: Read, file: Path | None) -> None:
    """Serve until Ctrl-C or SIGTERM."""

    def answer(dropped: Path, name: str) -> str:
        return _page(network, read(network, dropped), name)

    if not outer_blocks(network.network):
        raise ValueError(
            f"{shown(network.name)} has no block to look into; give a run or a network with blocks, such as r50_gc"
        )
    first = None if file is None else _page(network, read(network, file), file.name)
    kind, accept = ("a clip", "video/*") if network.kind == "clip" else ("a photograph", "image/*")
    with PageServer(answer, model=network.name, kind=kind, accept=accept, first=first) as server:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        print(f"Open {server.address} on this machine; Ctrl-C ends the server", flush=True)
        if network.untrained:
            print(network.untrained, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("The server has ended, and its pages are gone.", flush=True)
