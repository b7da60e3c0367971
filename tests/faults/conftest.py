"""Trainings that are forked from a process of their own: torch cannot compute gradients in the fork of one that did."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.fixture
def tried():
    """`tried("kills", "--kills", 3)`: the end of what a script of this folder prints; the test fails if it does."""

    def run(script, *arguments):
        paths = os.pathsep.join([str(TESTS.parent), str(TESTS)])
        done = subprocess.run(
            [sys.executable, "-m", f"faults.{script}", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
        return done.stdout.strip().splitlines()[-1]

    return run
