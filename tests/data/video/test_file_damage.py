"""Damaged files of every kind: read, or refused in a sentence; no crash, no hang, no other program, little memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("av")

from video_kinds import QUICK, SLOW, encode

import wholeframe

TESTS = Path(__file__).parents[2]
PROGRAMS = ("ffmpeg", "ffprobe", "ffplay", "gs", "convert", "magick", "sh", "bash", "curl", "wget", "mplayer", "vlc")


def read_damaged(tmp_path, kinds, count, seed):
    folder, traps, sprung = (tmp_path / name for name in ("files", "traps", "sprung"))
    for made in (folder, traps, sprung):
        made.mkdir()
    for kind in kinds:
        encode(folder, kind)
    for program in PROGRAMS:
        (traps / program).write_text(f"#!/bin/sh\necho > '{sprung}/{program}'\n")
        (traps / program).chmod(0o755)
    paths = os.pathsep.join([str(Path(wholeframe.__file__).parents[1]), str(TESTS)])
    done = subprocess.run(
        [sys.executable, str(TESTS / "video_faults.py"), str(seed), str(count), str(folder)],
        env={"PATH": str(traps), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    *_, last = done.stdout.splitlines()
    assert done.returncode == 0, (last, done.stderr[-3000:])
    assert not done.stderr
    outcomes = json.loads(last)
    assert outcomes["read"] + outcomes["refused"] == count
    assert min(outcomes["read"], outcomes["refused"]) >= count // 10
    assert outcomes["peak"] < 2**30
    assert not list(sprung.iterdir())


@pytest.mark.slow
def test_damaged_files(tmp_path):
    read_damaged(tmp_path, QUICK[::3], 15, seed=0)


@pytest.mark.slow
def test_many_damaged_files(tmp_path):
    read_damaged(tmp_path, [kind for kind in QUICK + SLOW if kind.size[0] <= 176], 120, seed=1)
