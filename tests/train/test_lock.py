"""Two processes do not write to one run folder."""

import os
import signal
import time

import pytest

from wholeframe.train import lock
from wholeframe.train.lock import locked


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of a folder."""
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        with locked(tmp_path / "run"):
            os.write(told, b"x")
            time.sleep(600)
        os._exit(0)
    os.read(ready, 1)
    yield child
    if os.waitpid(child, os.WNOHANG) == (0, 0):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_second_process_is_refused(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(lock, "WAIT", 0.1)
    with (
        pytest.raises(ValueError, match=r"another process is writing to '.*run' and holds '.*run\.lock'; wait until"),
        locked(tmp_path / "run"),
    ):
        pass


def test_death_releases_it(tmp_path, holder):
    os.kill(holder, signal.SIGKILL)
    with locked(tmp_path / "run"):
        assert (tmp_path / "run" / "run.lock").exists()


def test_a_block_within_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "WAIT", 0.1)
    with locked(tmp_path / "run"), locked(tmp_path / "run"):
        (tmp_path / "run" / "a").touch()
    assert (tmp_path / "run").is_dir()


def test_a_refused_training_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="no such recipe"), locked(tmp_path / "deep" / "run"):
        raise ValueError("no such recipe")
    assert not (tmp_path / "deep" / "run").exists()


def test_other_processes_of_a_training_hold_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "is_first", lambda: False)
    with locked(tmp_path / "run"):
        assert not (tmp_path / "run").exists()
