"""`wholeframe compare --table`: a published table from the command to its files, and sites in a grid."""

import csv

import pytest


def rows_of(folder):
    with (folder / "results.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_list(call, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call("compare", "--table", "list")
    assert "nonlocal-2c" in capsys.readouterr().out and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_table(call, capsys, tmp_path):
    call("compare", "--table", "cgnl-3", "--steps", 1, "--jobs", 1, "--out", tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert [row["block"] for row in rows] == ["c2d", "c2d_plain1", "c2d, cgnl at layer3.4"]
    assert int(rows[1]["network_params"]) > int(rows[0]["network_params"]) and rows[1]["params"] == "0"
    assert [row["difference"] == "" for row in rows] == [True, False, False]
    printed = capsys.readouterr().out
    assert "cgnl-3: The control with a plain residual block" in printed and "84.11 / 96.23" in printed


@pytest.mark.slow
def test_blocks_at_sites(call, tmp_path):
    call(
        *("compare", "--tasks", "recall_clips", "--blocks", "none", "gc", "--sites", "layer1.0", "layer2.1,layer3.1"),
        *("--steps", 1, "--jobs", 1, "--out", tmp_path / "out"),
    )
    rows = rows_of(tmp_path / "out")
    assert [row["block"] for row in rows] == ["none", "gc at layer1.0", "gc at layer2.1, layer3.1"]
    assert int(rows[2]["params"]) == 2 * int(rows[1]["params"]) > 0
