"""`wholeframe bench` writes, prints and plots its results."""

import dataclasses
import json

import pytest
import torch

from wholeframe.bench import sweep
from wholeframe.bench.case import Case, Goal
from wholeframe.bench.timing import Probe, Samples, Timing
from wholeframe.commands import bench


def passes(factor):
    """A case of two functions with equal results; `factor` above 1 puts it into the quick table."""
    return Case("gc", (1, 2, 3, 3), "mmcv", lambda: (lambda x: 2 * x, lambda x: x + x), Goal(2, 2), quick=factor > 1)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Replaces the timing: ours takes 1 ms in every turn, the reference 3 ms."""

    def time_in_turns(runs, device, rounds, budget):
        samples = {name: Samples((0.001 if name == "ours" else 0.003,) * rounds) for name in runs}
        return Timing(samples, Probe(gemm=100, copy=20), rejected=0)

    monkeypatch.setattr("wholeframe.bench.case.time_in_turns", time_in_turns)


@pytest.fixture
def told(capsys):
    def told(*arguments):
        bench.main([str(argument) for argument in arguments])
        return " ".join(capsys.readouterr().out.split())

    return told


def test_every_line_says_what_was_measured_and_where(told, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "CASES", (passes(3),))
    out = told("--out", tmp_path, "--rounds", "5")
    assert "gc 1x2x3x3 f mmcv 3 / 2" in out and "2 of 2 goals for time and memory were reached" in out
    (file,) = tmp_path.glob("*.jsonl")
    forward, both = map(json.loads, file.read_text().splitlines())
    wanted = {"commit", "torch", "machine", "device", "threads", "shape", "dtype", "backend", "ours_ms", "ours_spread"}
    assert wanted <= forward.keys() and forward["torch"] == torch.__version__
    assert (forward["ratio"], forward["rounds"], both["mode"]) == (pytest.approx(3), 5, "both")


def test_quick_is_a_part(told, tmp_path, monkeypatch):
    alone = dataclasses.replace(passes(1), block="nl", reference=None, build=lambda: (lambda x: 2 * x, None))
    alone = dataclasses.replace(alone, goal=Goal(seconds=1, gib=1e-9))
    monkeypatch.setattr(bench, "CASES", (passes(3), alone))
    assert " nl " not in told("--quick", "--out", tmp_path)
    out = told("--out", tmp_path)
    assert "nl 1x2x3x3 f none 0.001 s / 1" in out and "3 of 4 goals" in out


def test_an_unknown_block_is_refused():
    with pytest.raises(ValueError, match="--only leaves no case; it takes cgnl"):
        bench.main(["--only", "nl_dott"])


def test_quick_and_sweep_are_two_questions():
    with pytest.raises(ValueError, match="give one of them"):
        bench.main(["--quick", "--sweep"])


def test_a_peer_that_is_not_installed_is_named_once(told, tmp_path, monkeypatch):
    def missing():
        raise ImportError(name="mmcv")

    monkeypatch.setattr(bench, "CASES", (dataclasses.replace(passes(3), build=missing),) * 2)
    assert told("--out", tmp_path).count("left out, because mmcv is not installed") == 1


@pytest.mark.slow
def test_a_sweep_tells_the_worst_and_draws_both_passes(told, tmp_path, monkeypatch):
    shapes = [(2, 4, side, side) for side in (2, 4, 8)]
    cases = [dataclasses.replace(passes(3), shape=shape) for shape in shapes]
    alone = dataclasses.replace(cases[-1], reference=None, build=lambda: (lambda x: 2 * x, None), shape=(2, 4, 16, 16))
    monkeypatch.setattr(sweep, "cases", lambda: iter([*cases, alone]))
    out = told("--sweep", "--out", tmp_path)
    assert "gc mmcv f 3 2x4x2x2" in out and "n^1.00" in out
    assert "0 of 2 alternatives take less than 0.95 of our time at some size" in out
    assert len(list(tmp_path.glob("*-forward.png"))) == len(list(tmp_path.glob("*-both.png"))) == 1
