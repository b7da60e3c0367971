"""The command line, called as a person calls it, in this process."""

import sys

import numpy as np
import pytest
from PIL import Image

from wholeframe import cli
from wholeframe.commands import train

SMALL = ("--size", "16", "--batch", "8", "--workers", "0", "--epochs", "2")


@pytest.fixture
def call(monkeypatch):
    """`call("train", "small_nl", ...)`: `wholeframe train small_nl ...`."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["wholeframe", *map(str, arguments)])
        cli.main()

    return call


@pytest.fixture
def refused(call, capsys):
    """`refused(...)`: what a person is told on stderr by a command that ends with exit status 2."""

    def refused(*arguments):
        with pytest.raises(SystemExit) as end:
            call(*arguments)
        told = capsys.readouterr().err
        assert end.value.code == 2, told
        assert told.strip() and "Traceback" not in told
        return " ".join(told.replace("│", " ").split())

    return refused


@pytest.fixture(scope="session")
def photos(tmp_path_factory, make_photos):
    """A folder of two classes. Tests do not write into it."""
    return make_photos(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture
def photo(tmp_path):
    """A photograph of 40 x 20 pixels."""
    pixels = np.random.default_rng(1).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


@pytest.fixture(scope="session")
def run(tmp_path_factory, photos):
    """The run folder of a short training. Tests do not write into it."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    train.main(["small_nl", "--data", str(photos), "--out", str(folder), *SMALL])
    return folder


@pytest.fixture
def small():
    """The options that the run was made with."""
    return SMALL
