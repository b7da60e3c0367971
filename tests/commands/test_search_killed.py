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


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "after"), [(1, 2), (2, 6)], ids=["first rung", "last rung"])
def test_killed_and_continued(tmp_path, jobs, after):
    killed = tmp_path / "killed"
    process = start(killed, jobs)
    end = time.monotonic() + WAIT
    while len(lines(killed)) < after and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    told, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, told.decode()
    done = lines(killed)
    assert after <= len(done) < 9

    assert "already" in finish(killed, jobs)
    assert [line for line in lines(killed) if line in done] == done, "none is trained a second time"
    told = finish(tmp_path / "whole", 3 - jobs)
    assert without_times(killed) == without_times(tmp_path / "whole") and len(lines(killed)) == 9
    verdict = told.splitlines()[-1]
    assert verdict.startswith("the winner is") and verdict == finish(killed, jobs).splitlines()[-1]
