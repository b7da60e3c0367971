"""A server for one reader on this machine: a picture that is dropped comes back as its page.

It listens on 127.0.0.1. The address has a random token, without which nothing is answered, so that neither another user
of the machine nor a site in the same browser can reach it; the header `Host` is checked, so that no name of a site can
be bound to this address.
"""

import json
import secrets
import tempfile
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from wholeframe.explain.page.template import rendered
from wholeframe.messages import shown

LARGEST = 2**28
"""Bytes of the largest file that is taken."""

DRAINED = 2**26
"""Bytes of a refused file that are read, so that the browser reads the answer before the connection ends."""

KEPT = 8
"""Pages that are kept; the oldest goes when another comes."""

CHUNK = 2**20

Answer = Callable[[Path, str], str]
"""From a file and its name to the HTML of its page; ValueError or OSError for a file that is refused."""


class PageServer(ThreadingHTTPServer):
    """`PageServer(answer, ...).serve_forever()`, and `address` is what the reader opens.

    Args:
        answer: makes a page; one runs at a time.
        model: the name of the network, for the reader.
        kind: what may be dropped, such as "a photograph".
        accept: the kinds of files in the dialog of the browser, such as "image/*".
        first: the HTML of a page that is shown at once.
        port: 0 for any that is free.
    """

    daemon_threads = True

    def __init__(
        self, answer: Answer, *, model: str, kind: str, accept: str, first: str | None = None, port: int = 0
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer, self.busy = answer, Lock()
        self.token = secrets.token_urlsafe(24)
        self.pages: dict[str, str] = {}
        self.count = 0
        self.start = rendered(
            "drop.html",
            "drop.css",
            ("drop.js",),
            "img-src data:; connect-src 'self'; frame-src 'self'",
            model=shown(model),
            kind=kind,
            accept=accept,
            largest=LARGEST,
            first=self.keep(first) if first else "",
        )

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def keep(self, page: str) -> str:
        """Keep a page, and return its address below that of the server."""
        self.count += 1
        self.pages[str(self.count)] = page
        while len(self.pages) > KEPT:
            del self.pages[next(iter(self.pages))]
        return f"page/{self.count}"

    def page_of(self, file: Path, name: str) -> str:
        """The address of the page of a file."""
        with self.busy:
            return self.keep(self.answer(file, name))


class Refused(Exception):
    """A request that is not answered: the status and the sentence."""

    def __init__(self, status: HTTPStatus, sentence: str):
        super().__init__(sentence)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: PageServer  # pyright: ignore[reportIncompatibleVariableOverride]
    timeout = 60  # Seconds without a byte from the browser.
    server_version, sys_version = "wholeframe", ""

    def do_GET(self) -> None:
        try:
            path = self._path()
            if path == "":
                self._send(HTTPStatus.OK, "text/html", self.server.start)
                return
            page = self.server.pages.get(path.removeprefix("page/")) if path.startswith("page/") else None
            if page is None:
                raise Refused(HTTPStatus.NOT_FOUND, f"There is no such page; the last {KEPT} are kept.")
            self._send(HTTPStatus.OK, "text/html", page)
        except Refused as refused:
            self._send(refused.status, "text/plain", f"{refused}\n")

    def do_POST(self) -> None:
        try:
            if self._path() != "open":
                raise Refused(HTTPStatus.NOT_FOUND, "A file is sent to `open`.")
            (name,) = parse_qs(urlsplit(self.path).query).get("name", ["picture"])[:1]
            length = self._length()
            with tempfile.TemporaryDirectory(prefix="wholeframe-") as folder:
                file = Path(folder) / _file_name(name)
                self._receive(file, length)
                page = self._page_of(file, name)
            self._answer(HTTPStatus.OK, page=page)
        except Refused as refused:
            self._answer(refused.status, wrong=str(refused))
        except Exception as error:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, wrong=f"No page can be made of the file ({error}).")
            raise

    def _path(self) -> str:
        """What follows the token in the address.

        Raises:
            Refused: the request names another host, comes from another site, or lacks the token.
        """
        hosts = [f"{host}:{self.server.server_port}" for host in ("127.0.0.1", "localhost")]
        if self.headers.get("Host") not in hosts:
            raise Refused(HTTPStatus.FORBIDDEN, "The address is another than that of this server.")
        if self.headers.get("Origin") not in (None, *(f"http://{host}" for host in hosts)):
            raise Refused(HTTPStatus.FORBIDDEN, "The request comes from another site.")
        token, slash, path = urlsplit(self.path).path.removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(token.encode("latin-1"), self.server.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "The address lacks the token that `wholeframe explain` has printed.")
        return path

    def _length(self) -> int:
        text = self.headers.get("Content-Length", "")
        if not text.isascii() or not text.isdigit():
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "The request does not say how long the file is.")
        length = int(text) if len(text) < 20 else LARGEST + 1
        if length > LARGEST:
            self._drain(min(length, DRAINED))
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The file has {length:,} bytes, and at most {LARGEST:,} are read; make it smaller.",
            )
        return length

    def _receive(self, file: Path, length: int) -> None:
        with file.open("wb") as out:
            while length:
                part = self.rfile.read(min(CHUNK, length))
                if not part:
                    raise Refused(HTTPStatus.BAD_REQUEST, "The file ends before its announced length; drop it again.")
                out.write(part)
                length -= len(part)

    def _drain(self, length: int) -> None:
        while length > 0 and (part := self.rfile.read(min(CHUNK, length))):
            length -= len(part)

    def _page_of(self, file: Path, name: str) -> str:
        try:
            return self.server.page_of(file, name)
        except (ValueError, OSError) as error:
            sentence = str(error).replace(str(file), shown(name))
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, sentence) from None

    def _answer(self, status: HTTPStatus, **values: str) -> None:
        self._send(status, "application/json", json.dumps(values))

    def _send(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "SAMEORIGIN")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a log of requests would hold the token."""


def _file_name(name: str) -> str:
    """A name for the file that was dropped: its end, which has the suffix, in letters that a file can have anywhere."""
    safe = "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in name)[-60:].strip(" .")
    return safe or "picture"
