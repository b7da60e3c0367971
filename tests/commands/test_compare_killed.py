"""A killed comparison continues, and ends with the results of one that was left alone, in any number of jobs."""

import json
import signal
import subprocess
import sys
import time

import pytest

WAIT = 600  # seconds, for a machine that does a lot else
COMMAND = ["compare", "--steps", "8", "--tasks", "gist", "--blocks", "none", "nl", "--seeds", "2"]
TIMES = ("train_s", "infer_ms")


def start(folder, jobs):
    program = "from wholeframe.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *COMMAND, "--jobs", str(jobs), "--out", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def lines(folder):
    file = folder / "trainings.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def finish(folder, jobs):
    process = start(folder, jobs)
    told, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 0, told.decode()
    return told.decode()


def without_times(folder):
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines(folder)]


@pytest.mark.slow
def test_killed_and_continued(tmp_path):
    killed = tmp_path / "killed"
    process = start(killed, jobs=2)
    end = time.monotonic() + WAIT
    while not lines(killed) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    told, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, told.decode()
    done = lines(killed)
    assert 1 <= len(done) < 4 and (killed / "recipe.json").exists()

    assert f"{len(done)} of 4 trainings are in" in finish(killed, jobs=2)
    assert [line for line in lines(killed) if line in done] == done, "none is trained a second time"
    finish(tmp_path / "whole", jobs=1)
    assert without_times(killed) == without_times(tmp_path / "whole")
    for name in ("results.md", "accuracy.png", "results.csv"):
        assert (killed / name).stat().st_size > 0
