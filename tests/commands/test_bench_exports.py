"""`wholeframe bench exports`: it continues where it was stopped, and prints the whole file."""

import json

import pytest

from wholeframe.commands import bench_exports
from wholeframe.models.zoo import MODELS


def row(name, **changed):
    return {
        "network": name,
        "exporter": "e",
        "opset": 18,
        "megabytes": 1.25,
        "error": 1e-6,
        "eager_ms": 3.0,
        "onnxruntime_ms": 2.0,
        "ratio": 1.5,
        **changed,
    }


@pytest.fixture
def measured(monkeypatch):
    seen = []

    def measure(name, turns):
        seen.append((name, turns))
        return {"network": name, "refused": "no"} if name == "r34" else row(name)

    monkeypatch.setattr(bench_exports, "measure", measure)
    return seen


def test_networks_that_the_file_has_are_left_out(call, measured, tmp_path, capsys):
    file = tmp_path / "exports.jsonl"
    file.write_text(json.dumps(row("r18", ratio=9)) + "\n")
    call("bench", "exports", "--out", file, "--only", "r18", "r34", "r50_g*", "--turns", "2")
    names = ["r18", "r34", *(name for name in MODELS if name.startswith("r50_g"))]
    assert measured == [(name, 2) for name in names if name != "r18"]
    assert [json.loads(line)["network"] for line in file.read_text().splitlines()] == names
    printed = capsys.readouterr().out
    assert "1 of them are in" in printed and "| r18 | e | 18 | 1.2 | 1e-06 | 3 | 2 | 9.00 |" in printed
    assert "| r34 | refused: no |" in printed
    call("bench", "exports", "--out", file, "--only", "r18", "r34")
    assert len(measured) == len(names) - 1


def test_all_networks_but_detectors_are_chosen():
    names = bench_exports.chosen(())
    assert len(names) > 100 and set(names) < set(MODELS) and not [name for name in names if "rcnn" in name]


@pytest.mark.parametrize(
    ("lines", "only", "said"),
    [
        ("", "r51", "--only 'r51' fits no network that is not a detector; the nearest are"),
        ("", "maskrcnn*", "fits no network that is not a detector"),
        ('{"network": "r18"}\n{"netw', "r18", "line 2 of"),
        ("[]\n", "r18", "line 1 of"),
    ],
)
def test_what_cannot_be_is_refused(refused, measured, tmp_path, lines, only, said):
    (tmp_path / "exports.jsonl").write_text(lines)
    assert said in refused("bench", "exports", "--out", tmp_path / "exports.jsonl", "--only", only)
    assert not measured
