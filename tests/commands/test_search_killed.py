"""A killed search continues, and ends with the figures of one that was left alone."""

import json
import signal
import subprocess
import sys
import time

import pytest

WAIT = 600  # seconds, for a machine that does a lot else
COMMAND = ["search", "--steps", "6", "--tasks", "gist", "--blocks", "none", "nl", "gc", "se", "snl", "--seeds", "2"]
TIMES = ("train_s", "infer_ms")


def start(folder, jobs):
    program = "from wholeframe.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *COMMAND, "--budget", "60%", "--jobs", str(jobs), "--out", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def lines(folder):
    files = sorted(folder.glob("rung-*/trainings.jsonl"))
    return [(file.parent.name, json.loads(line)) for file in files for line in file.read_text().splitlines()]


def without_times(folder):
    return [(rung, {key: value for key, value in line.items() if key not in TIMES}) for rung, line in lines(folder)]


def finish(folder, jobs):
    process = start(folder, jobs)
    told, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 0, told.decode()
    return told.decode()


def kill(folder, jobs, after):
    """Kill a search once this number of trainings is finished, and return them."""
    process = start(folder, jobs)
    end = time.monotonic() + WAIT
    while len(lines(folder)) < after and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    told, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, told.decode()
    done = lines(folder)
    assert after <= len(done) < 9
    return done


@pytest.mark.slow
def test_killed_twice_and_continued(tmp_path):
    """In the first rung, and in the last one with another number of jobs."""
    killed = tmp_path / "killed"
    first = kill(killed, jobs=1, after=2)
    second = kill(killed, jobs=2, after=6)
    assert [line for line in second if line in first] == first, "none is trained a second time"

    assert "already" in finish(killed, jobs=2)
    assert [line for line in lines(killed) if line in second] == second, "none is trained a second time"
    told = finish(tmp_path / "whole", jobs=1)
    assert without_times(killed) == without_times(tmp_path / "whole") and len(lines(killed)) == 9
    verdict = told.splitlines()[-1]
    assert verdict.startswith("the winner is") and verdict == finish(killed, jobs=2).splitlines()[-1]
