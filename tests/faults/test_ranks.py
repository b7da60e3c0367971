"""A training of two processes: one is killed, or all of them are asked to stop."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults.kills import photos

from wholeframe.train.run import Run, read_checkpoint

START, END = 400, 60  # seconds; the first includes all imports on a machine that does a lot else


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def children(pid):
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if b"wholeframe" in Path(f"/proc/{child}/cmdline").read_bytes()]


def gone(pid):
    try:
        return "zombie" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


@pytest.fixture
def training(tmp_path):
    """Two processes that train, and the file of what they say."""
    options = "--size 8 --batch 4 --workers 0 --epochs 5000 --accelerator cpu --devices 2"
    place = ["--data", photos(tmp_path / "photos"), "--out", tmp_path / "run"]
    command = [sys.executable, "-m", "wholeframe", "train", "small_nl", *map(str, place), *options.split()]
    log = tmp_path / "log"
    with log.open("w") as stream:
        first = subprocess.Popen(
            command, stdout=stream, stderr=stream, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True
        )
    others = []
    try:
        assert wait_for(lambda: (tmp_path / "run" / "last.ckpt").exists() or first.poll(), START), log.read_text()
        assert first.poll() is None, log.read_text()
        others = children(first.pid)
        assert len(others) == 1
        yield first, others[0], log
    finally:
        for pid in (first.pid, *others):
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)
        first.wait()


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["first", "second"])
def test_one_of_two_processes_is_killed(training, victim):
    first, second, log = training
    os.kill(first.pid if victim == "first" else second, signal.SIGKILL)
    assert wait_for(lambda: first.poll() is not None and gone(second), END), "a process lives on"
    told = log.read_text()
    assert "so the training ends in all processes; --resume continues after the last checkpoint" in told


@pytest.mark.slow
def test_two_processes_stop_together(training, tmp_path):
    first, second, log = training
    first.terminate()
    assert wait_for(lambda: first.poll() is not None and gone(second), END), "a process lives on"
    assert first.returncode == 143, log.read_text()
    assert "stopped by SIGTERM after a full step" in log.read_text()
    states = read_checkpoint(Run(tmp_path / "run").last)["callbacks"]["Stopping"]["random_states"]
    assert len(states) in (0, 2)
