"""Trainings in several processes: results, refusals, and no process that outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from wholeframe.train.jobs import cores, in_processes

HERE = os.getpid()


def threads_and_process(number):
    return number, torch.get_num_threads(), os.getpid()


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def wait(file):
    Path(file).write_text(str(os.getpid()))
    time.sleep(600)


def refuse(number):
    raise ValueError(f"no {number}")


def test_one_job_is_this_process_in_order():
    assert 1 <= cores() <= (os.cpu_count() or 1)
    assert [result[2] for _, result in in_processes(threads_and_process, [3, 1], 1)] == [HERE, HERE]
    assert [item for item, _ in in_processes(threads_and_process, [3, 1], 1)] == [3, 1]
    assert [result[2] for _, result in in_processes(threads_and_process, [3], 8)] == [HERE]
    assert list(in_processes(threads_and_process, [], 8)) == []


@pytest.mark.slow
def test_several_jobs_have_one_thread_each():
    found = dict(in_processes(threads_and_process, [3, 1, 2], 2))
    assert {item: result[:2] for item, result in found.items()} == {n: (n, 1) for n in (1, 2, 3)}
    assert HERE not in {result[2] for result in found.values()}


@pytest.mark.slow
def test_a_killed_process_is_one_sentence():
    with pytest.raises(ValueError, match="a process of the comparison was killed; memory may be short: give --jobs 1"):
        list(in_processes(die, [1, 2], 2))


@pytest.mark.slow
def test_an_error_of_a_process_is_raised_here():
    with pytest.raises(ValueError, match=r"no [12]"):
        list(in_processes(refuse, [1, 2], 2))


@pytest.mark.slow
def test_no_process_outlives_its_killed_parent(tmp_path):
    files = [str(tmp_path / name) for name in "ab"]
    program = (
        "from train.test_jobs import in_processes, wait\n"
        f"if __name__ == '__main__': list(in_processes(wait, {files!r}, 2))"
    )
    (tmp_path / "program.py").write_text(program)
    tests = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}
    parent = subprocess.Popen([sys.executable, str(tmp_path / "program.py")], env=environment)
    end = time.monotonic() + 120
    while not all(Path(file).exists() and Path(file).read_text() for file in files) and time.monotonic() < end:
        time.sleep(0.05)
    children = [int(Path(file).read_text()) for file in files]
    parent.kill()
    parent.wait()
    while any(alive(child) for child in children) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(alive(child) for child in children)


def alive(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"
