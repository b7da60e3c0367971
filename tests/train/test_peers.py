"""When one process of a training dies, the others end with a message."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from wholeframe.train import peers
from wholeframe.train.peers import watched

LIMIT = 60  # seconds


def trainer(ranks=2, children=()):
    return SimpleNamespace(world_size=ranks, strategy=SimpleNamespace(launcher=SimpleNamespace(procs=children)))


def status_of(child):
    end = time.monotonic() + LIMIT
    while (found := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
        time.sleep(0.05)
    if found == (0, 0):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise AssertionError("it lives on")
    return os.waitstatus_to_exitcode(found[1])


def waiting(first, log, children=()):
    """Watch the others while waiting in what takes no exception, as an exchange does."""
    peers.is_first = lambda: first
    sys.stderr = log.open("w", buffering=1)
    with watched(trainer(children=children)):
        time.sleep(600)
    os._exit(0)


@pytest.mark.slow
def test_the_first_process_dies(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "POLL", 0.1)
    ids, out = os.pipe()
    first = os.fork()
    if first == 0:
        second = os.fork()
        if second == 0:
            os.write(out, str(os.getpid()).encode())
            waiting(False, tmp_path / "log")
        time.sleep(600)
    second = int(os.read(ids, 99))
    time.sleep(0.5)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    end = time.monotonic() + LIMIT
    while os.path.exists(f"/proc/{second}") and time.monotonic() < end and "zombie" not in state(second):
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{second}") or "zombie" in state(second)
    assert (tmp_path / "log").read_text() == (
        "wholeframe: the first process is gone, so the training ends in all processes; --resume continues after the "
        "last checkpoint\n"
    )


def state(pid):
    try:
        with open(f"/proc/{pid}/status") as stream:
            return stream.read()
    except OSError:
        return "zombie"


def test_another_process_dies(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "POLL", 0.1)
    child = subprocess.Popen([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
    child.wait()
    first = os.fork()
    if first == 0:
        waiting(True, tmp_path / "log", [child])
    assert status_of(first) == 1
    assert "process 1 ended with status -9, so the training ends in all processes" in (tmp_path / "log").read_text()


def test_a_failed_exchange_is_explained(monkeypatch):
    monkeypatch.setattr(peers, "is_first", lambda: True)
    dead = SimpleNamespace(poll=lambda: -9, returncode=-9)
    with pytest.raises(ConnectionError, match="process 1 ended with status -9"), watched(trainer(children=[dead])):
        raise RuntimeError("Connection closed by peer")


def test_other_errors_pass(monkeypatch):
    monkeypatch.setattr(peers, "PATIENCE", 0)
    monkeypatch.setattr(peers, "is_first", lambda: True)
    alive = SimpleNamespace(poll=lambda: None, returncode=None)
    for ranks in (1, 2):
        with pytest.raises(RuntimeError, match="shapes"), watched(trainer(ranks, [alive])):
            raise RuntimeError("shapes cannot be multiplied")
