"""The server of pages, by plain HTTP: who gets an answer, what is taken, and what is said of a file that is not."""

import http.client
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from wholeframe.explain.page import server as module
from wholeframe.explain.page.server import KEPT, PageServer


def answer(file, name):
    """The page of a text; as a reader of images would, it refuses a file by its path."""
    if file.read_bytes().startswith(b"bad"):
        raise ValueError(f"'{file}' is not an image that can be decoded (cannot identify it)")
    if file.read_bytes().startswith(b"fault"):
        raise RuntimeError("a fault of the network")
    return f"<p>{name} {file.stat().st_size} {file.suffix}</p>"


@pytest.fixture
def served():
    with PageServer(answer, model="net <b>", kind="a photograph", accept="image/*") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetched(address, data=None, **headers):
    """Status and text of an answer."""
    request = urllib.request.Request(address, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def sent(server, data, name="cat.jpg", **headers):
    status, text = fetched(f"{server.address}open?name={quote(name)}", data, **headers)
    return status, json.loads(text)


def test_the_start_page(served):
    status, html = fetched(served.address)
    assert status == 200 and "net &lt;b&gt;" in html and "a photograph" in html and 'accept="image/*"' in html
    assert "connect-src 'self'" in html and "unsafe" not in html


def test_a_file_comes_back_as_its_page(served):
    status, told = sent(served, b"12345")
    assert (status, told) == (200, {"page": "page/1"})
    assert fetched(served.address + told["page"]) == (200, "<p>cat.jpg 5 .jpg</p>")


def test_it_listens_on_this_machine_alone(served):
    assert served.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("path", ["", "/", "/open", "/page/1", "/{wrong}/", "/{wrong}/page/1", "/{short}/", "/%C3%A9/"])
def test_without_the_token_nothing_is_answered(served, path):
    sent(served, b"12345")
    path = path.format(wrong="x" * len(served.token), short=served.token[:-1])
    for data in (None, b"12345"):
        status, text = fetched(f"http://127.0.0.1:{served.server_port}{path}", data)
        assert status == 403 and "lacks the token" in text and served.token not in text
    assert list(served.pages) == ["1"]


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "127.0.0.1"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
def test_another_host_or_site_gets_no_answer(served, headers):
    for data in (None, b"12345"):
        assert fetched(served.address + "open", data, **headers)[0] == 403
    assert not served.pages


def test_its_own_site_and_name_are_answered(served):
    port = served.server_port
    assert sent(served, b"1", Origin=f"http://127.0.0.1:{port}")[0] == 200
    assert sent(served, b"1", Origin=f"http://localhost:{port}", Host=f"localhost:{port}")[0] == 200


def test_tokens_differ_and_are_long():
    with (
        PageServer(answer, model="", kind="", accept="") as one,
        PageServer(answer, model="", kind="", accept="") as two,
    ):
        assert one.token != two.token and len(one.token) >= 32


@pytest.mark.parametrize("path", ["page/2", "page/", "other", "page/../page", "open"])
def test_a_page_that_is_not_there(served, path):
    assert fetched(served.address + path)[0] == 404
    assert fetched(served.address + "other", b"1")[0] == 404


def test_a_bad_file_is_refused_in_one_sentence_without_the_path_of_the_server(served, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    status, told = sent(served, b"bad", name='"><b>.jpg')
    assert status == 422
    assert told == {"wrong": "'\"><b>.jpg' is not an image that can be decoded (cannot identify it)"}
    assert not list(tmp_path.iterdir()), "the file that was dropped is still there"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/b\\c.jpg", "", ".", "..", "x" * 5000, "猫" * 300, "\0"]
)
def test_a_name_chooses_no_place(served, monkeypatch, tmp_path, name):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "inside"))
    (tmp_path / "inside").mkdir()
    assert sent(served, b"12345", name=name)[0] == 200
    assert [path.name for path in tmp_path.rglob("*")] == ["inside"]


def test_a_fault_is_told_to_the_reader_and_printed(served, capsys):
    status, told = sent(served, b"fault")
    assert status == 500 and told == {"wrong": "No page can be made of the file (a fault of the network)."}
    assert sent(served, b"12345")[0] == 200, "the server goes on"
    printed, end = "", time.monotonic() + 60
    while "RuntimeError: a fault of the network" not in printed:  # by its thread, after the answer
        assert time.monotonic() < end
        time.sleep(0.01)
        printed += capsys.readouterr().err


def test_a_file_that_is_too_large_is_not_read(served, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 1000)
    status, told = sent(served, b"x" * 1001)
    assert status == 413 and told == {"wrong": "The file has 1,001 bytes, and at most 1,000 are read; make it smaller."}
    assert sent(served, b"x" * 1000)[0] == 200


def raw(server, lines, body=b"", close=False):
    """The answer to a request as it is written."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        if close:
            connection.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read().decode()


@pytest.mark.parametrize(
    ("length", "status", "told"),
    [
        (None, 411, "does not say how long"),
        ("many", 411, "does not say how long"),
        ("-5", 411, "does not say how long"),
        ("9" * 30, 413, "at most"),
        ("5000", 400, "ends before its announced length"),
    ],
)
def test_lengths_that_are_wrong(served, length, status, told):
    lines = [f"POST /{served.token}/open HTTP/1.1", f"Host: 127.0.0.1:{served.server_port}"]
    lines += [f"Content-Length: {length}"] if length else []
    got, text = raw(served, lines, b"12345", close=True)
    assert got == status and told in json.loads(text)["wrong"]


def test_the_last_pages_are_kept(served):
    for _ in range(KEPT + 2):
        sent(served, b"12345")
    kept = [fetched(f"{served.address}page/{number}")[0] for number in range(1, KEPT + 3)]
    assert kept == [404] * 2 + [200] * KEPT


def test_the_first_page_is_shown_at_once():
    with PageServer(answer, model="net", kind="", accept="", first="<p>first</p>") as server:
        assert server.pages == {"1": "<p>first</p>"} and 'data-first="page/1"' in server.start


def test_nothing_is_logged(served, capsys):
    sent(served, b"12345")
    fetched(served.address[:-2])
    assert capsys.readouterr() == ("", "")


def test_nothing_is_kept_by_the_browser(served):
    with urllib.request.urlopen(served.address, timeout=10) as response:
        headers = dict(response.headers)
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer" and headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "Python" not in headers["Server"]


def test_the_address_has_the_token(served):
    assert urlsplit(served.address).path == f"/{served.token}/"
    assert Path(served.token).name == served.token
