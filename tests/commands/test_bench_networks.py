"""`wholeframe bench --networks` writes a line for every setting and prints a table with goals."""

import json
import sys

import pytest
from tiny_networks import ALONE, CASE, PACKAGE

from wholeframe.bench import network_cases, networks
from wholeframe.bench.timing import Probe, Samples, Timing
from wholeframe.commands import bench
from wholeframe.commands.bench_networks import Options, _within

TURNS = {"ours": 0.012, "plain": 0.010, "peer": 0.02}


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Replaces the timing, and the networks by a tiny one."""

    def time_in_turns(runs, device, rounds, budget):
        for run in runs.values():
            run()
        samples = {name: Samples((TURNS[name],) * rounds) for name in runs}
        return Timing(samples, Probe(gemm=100, copy=2), rejected=0)

    monkeypatch.setattr(networks, "time_in_turns", time_in_turns)
    monkeypatch.setattr(network_cases, "NETWORKS", {"tiny": CASE})
    monkeypatch.setitem(sys.modules, "mmcv.cnn", PACKAGE)


def told(capsys, *arguments):
    bench.main([str(argument) for argument in arguments])
    return " ".join(capsys.readouterr().out.split())


def test_a_line_for_every_setting_and_pass(capsys, tmp_path):
    out = told(capsys, "--networks", "--batch", 1, 2, "--threads", 1, "--rounds", 4, "--out", tmp_path)
    (file,) = tmp_path.glob("*.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["batch"], row["kind"]) for row in rows] == [
        (batch, kind) for batch in (1, 2) for kind in ("inference", "training step")
    ]
    assert {"commit", "torch", "machine", "threads", "dtype", "by_block", "goal", "floor"} <= rows[0].keys()
    assert rows[0]["threads"] == 1 and rows[0]["rounds"] == 4
    assert "1.200 / 1.5" in out and "1.200 / 0.001 (missed)" in out and "2.000 mmcv" in out
    # Time of inference, and faster than the peer in both passes, for each batch.
    assert "6 of 10 goals were reached" in out and "of what the blocks add" in out
    assert f"written to {tmp_path}" in out.replace("\n", "")


def test_a_goal_out_of_reach_is_at_the_floor_or_missed():
    assert _within(1.02, 1.03) == _within(1.02, 1.03, near_floor=True) == "1.020 / 1.03"
    assert _within(1.06, 1.03) == "1.060 / 1.03 (missed)" and _within(1.06, None) == "1.060"
    assert _within(1.06, 1.03, near_floor=True) == "1.060 / 1.03 (at the floor)"


def test_a_missing_peer_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mmcv.cnn", None)
    out = told(capsys, "--networks", "tiny", "--threads", 1, "--out", tmp_path)
    assert "tiny: without its peer, because mmcv.cnn is not installed (uv run --extra bench)" in out
    assert "tiny 1, contiguous, eager, 1 inference 1.200 / 1.5" in out


def test_a_missing_library_leaves_the_network_out(capsys, tmp_path, monkeypatch):
    def missing():
        raise ImportError(name="timm")

    network = network_cases.NetworkCase("tiny", CASE.sample, missing)
    monkeypatch.setattr(network_cases, "NETWORKS", {"tiny": network})
    out = told(capsys, "--networks", "--out", tmp_path)
    assert "tiny: left out, because timm is not installed" in out and "0 of 0 goals" in out


def test_names_may_come_before_or_after_other_options(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(network_cases, "NETWORKS", {"tiny": ALONE, "other": CASE})
    out = told(capsys, "--out", tmp_path, "--threads", 1, "--networks", "tiny")
    assert "tiny 1, contiguous" in out and "other" not in out


def test_at_least_fifteen_turns_without_a_limit_of_time_by_default():
    assert Options(()).rounds == 15 and Options(()).budget == float("inf") and Options(()).threads == (1, 2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--networks", "tinyy"), "there is no network 'tinyy' to measure; the nearest are tiny"),
        (("--networks", "--scale"), "give one of them"),
        (("--networks", "--batch", "0"), "batch must be at least 1, got 0"),
        (("--networks", "--threads", "0"), "threads must be at least 1, got 0"),
        (("--networks", "--rounds", "0"), "rounds must be at least 1, got 0"),
    ],
)
def test_what_is_refused(arguments, sentence, capsys):
    with pytest.raises((ValueError, SystemExit)) as refused:  # tyro prints what is wrong with a number
        bench.main(list(arguments))
    assert sentence in f"{refused.value} {' '.join(capsys.readouterr().err.split())}"
