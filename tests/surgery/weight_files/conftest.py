"""Files that are refused: in one sentence, with little memory, and without running anything in them."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from wholeframe.surgery.state_files import read_content


@pytest.fixture
def one_gibibyte():
    """No more than 1 GiB of addresses beyond those in use: an allocation above it raises MemoryError."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture
def refused(tmp_path, monkeypatch, one_gibibyte) -> Callable[..., str]:
    """Writes a file, and returns the sentence with which it is refused.

    A gadget that runs leaves a file named `ran` in the folder.
    """
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def refuse(content: bytes, name: str = "weights") -> str:
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"^'") as told:
            read_content(file)
        assert not list(folder.iterdir()), "the file ran its code"
        sentence = str(told.value)
        assert sentence.startswith(f"'{file}' ") and "\n" not in sentence
        return sentence.removeprefix(f"'{file}' ")

    return refuse
