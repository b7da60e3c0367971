"""`wholeframe explain` for a page: the file, the server, and what is refused before the work."""

import re
import signal
import subprocess
import sys
import urllib.request
from functools import partial

import pytest

from wholeframe.commands.explain_page import DRAWN


def test_a_page_of_a_run(call, capsys, run, photo, tmp_path):
    call("explain", run, photo, "-o", tmp_path / "deep" / "a.html")
    html = (tmp_path / "deep" / "a.html").read_text("utf-8")
    assert "photo.jpg" in html and '"kind": "pairwise"' in html
    assert re.fullmatch(
        rf"{tmp_path}/deep/a\.html: 0\.\d MiB; open it in a browser and click on the picture",
        capsys.readouterr().out.strip(),
    )


@pytest.mark.slow
def test_random_weights_are_said_and_the_same_in_every_call(call, capsys, photo, tmp_path):
    for name in "ab":
        call("explain", "r18_nl1", photo, "-o", tmp_path / f"{name}.HTML")
    assert "r18_nl1 has random weights" in capsys.readouterr().out
    first = (tmp_path / "a.HTML").read_text("utf-8")
    assert "random weights" in first and first == (tmp_path / "b.HTML").read_text("utf-8")


@pytest.mark.parametrize("option", DRAWN)
def test_options_of_a_picture(refused, run, photo, option):
    told = refused("explain", run, photo, "-o", "a.html", option, "1")
    assert told.startswith(f"wholeframe: {option}: a picture takes this option, and on a page the reader chooses")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--serve", "-o", "a.html"], "--serve and -o are both given"),
        (["-o", "a.html"], "no photograph and no clip is given"),
        (["no.jpg", "-o", "a.html"], "there is no file 'no.jpg'"),
        (["page.html", "-o", "page.png"], "a page is written as HTML; give -o page.html"),
    ],
)
def test_wrong_arguments(refused, run, arguments, told):
    assert told in refused("explain", run, *arguments)


def test_a_network_without_blocks_is_not_served(refused):
    told = refused("explain", "r18", "--serve")
    assert "r18 has no block to look into; give a run or a network with blocks, such as r50_gc" in told


def test_a_bad_file(refused, run, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    told = refused("explain", run, tmp_path / "bad.jpg", "-o", tmp_path / "a.html")
    assert "bad.jpg' is not an image that can be decoded" in told
    assert not (tmp_path / "a.html").exists()


def test_a_page_that_cannot_be_written(refused, run, photo):
    assert "a.html' cannot be written, because" in refused("explain", run, photo, "-o", photo / "a.html")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_starts_answers_and_ends(run, photo, number):
    command = [sys.executable, "-m", "wholeframe", "explain", str(run), str(photo), "--serve"]
    # A job in the background of a shell ignores SIGINT, and so would its children.
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeding
    ) as process:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", process.stdout.readline())[0]
            with urllib.request.urlopen(f"{address}page/1", timeout=30) as answer:
                assert "photo.jpg" in answer.read().decode()
            request = urllib.request.Request(f"{address}open?name=b.jpg", data=photo.read_bytes())
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert answer.read().decode() == '{"page": "page/2"}'
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0 and err == ""
    assert out.strip() == "The server has ended, and its pages are gone."
