"""The page of `wholeframe explain`: as a file (`-o PAGE.html`), and from a server (`--serve`)."""

import signal
from collections.abc import Callable
from pathlib import Path

from wholeframe.commands.writable import writable
from wholeframe.explain.page import html_page
from wholeframe.explain.page.server import PageServer
from wholeframe.explain.recording import Recording
from wholeframe.messages import shown
from wholeframe.train.opened import Given, Opened

Read = Callable[[Path], Given]


def page_of(network: Opened, given: Given, name: str) -> str:
    """The HTML of the page of one photograph or clip."""
    notes = [network.untrained] if network.untrained else []
    return html_page(
        Recording(network.network, given.x), given.picture, name=name, model=network.name, notes=notes
    )


def save_page(network: Opened, read: Read, file: Path, out: Path) -> None:
    """Write the page of a file, and print where it is."""
    given = read(file)
    writable(out)
    page = page_of(network, given, file.name)
    out.write_text(page, encoding="utf-8")
    print(f"{shown(out)}: {len(page.encode()) / 2**20:.1f} MiB; open it in a browser and click on the picture")
    if network.untrained:
        print(network.untrained)


def serve(network: Opened, read: Read, file: Path | None) -> None:
    """Serve pages of what a reader drops until Ctrl-C or SIGTERM; `file` is shown first."""

    def answer(dropped: Path, name: str) -> str:
        return page_of(network, read(dropped), name)

    first = page_of(network, read(file), file.name) if file is not None else None
    kind, accept = ("a clip", "video/*") if network.kind == "clip" else ("a photograph", "image/*")
    with PageServer(answer, model=network.name, kind=kind, accept=accept, first=first) as server:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        print(f"{shown(network.name)} answers this machine alone at {server.address} until Ctrl-C", flush=True)
        if network.untrained:
            print(network.untrained, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("The server has ended; its pages are gone.", flush=True)
