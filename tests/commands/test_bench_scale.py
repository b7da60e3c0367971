"""`wholeframe bench --scale` writes a line for every size and prints the laws."""

import json

import pytest

from wholeframe.bench import scale
from wholeframe.bench.timing import Probe, Samples, Timing
from wholeframe.commands import bench, bench_scale


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Replaces the timing, a pass takes 1 ms; and takes small maps."""

    def time_in_turns(runs, device, rounds, budget):
        for run in runs.values():
            run()
        return Timing({name: Samples((0.001,) * rounds) for name in runs}, Probe(100, 20), rejected=0)

    monkeypatch.setattr(scale, "time_in_turns", time_in_turns)
    monkeypatch.setattr(bench_scale, "GRIDS", ((2, 2), (4, 4), (2, 4, 4), (4, 4, 4)))


def told(capsys, *arguments):
    bench.main([str(argument) for argument in arguments])
    return " ".join(capsys.readouterr().out.split())


def test_a_line_for_every_size_and_the_laws(capsys, tmp_path):
    out = told(capsys, "--scale", "gc", "--mode", "eager", "--channels", 8, "--rounds", 3, "--out", tmp_path)
    (file,) = tmp_path.glob("*.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["kind"], row["grid"]) for row in rows] == [
        (kind, grid)
        for grids in ([[2, 2], [4, 4]], [[2, 4, 4], [4, 4, 4]])
        for kind in ("forward", "both")
        for grid in grids
    ]
    assert {"commit", "machine", "threads", "ms", "mib"} <= rows[0].keys()
    assert "gc images eager f 2 4x4 1 n^0.00 x1.00" in out and "gc clips eager f+b 2 4x4x4 1 n^0.00" in out


def test_a_block_that_stops_is_told(capsys, tmp_path):
    arguments = ("--mode", "eager", "--channels", 8, "--gib", 1e-9, "--out", tmp_path)
    out = told(capsys, "--scale", "nl", *arguments)
    assert "nl, eager, f: 4x4 is left out, because it would take about 0.0 GiB" in out
    assert "nl images eager f 1 2x2" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--scale", "gcc"), "gcc"),
        (("--scale", "--channels", "0"), "channels must be at least 1"),
        (("--scale", "--seconds", "0"), "seconds must be a positive number"),
        (("--scale", "--gib", "-1"), "gib must be a positive number"),
    ],
)
def test_what_is_refused(arguments, sentence, capsys):
    with pytest.raises((ValueError, SystemExit)) as refused:  # tyro prints what is wrong with a number
        bench.main(list(arguments))
    assert sentence in f"{refused.value} {' '.join(capsys.readouterr().err.split())}"
