"""`wholeframe curves`: what it says of each run, and what it refuses."""

import csv

from PIL import Image

from wholeframe.commands.curves import names_of


def test_a_picture_of_a_run(call, capsys, run, tmp_path):
    capsys.readouterr()
    call("curves", run, "-o", tmp_path / "a.png")
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{tmp_path}/a.png:" and second.startswith("  run: 2 epochs; validation error ")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"


def test_the_numbers_of_two_runs(call, run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for file in ("recipe.json", "environment.json", "metrics.csv"):
        (other / file).write_bytes((run / file).read_bytes())
    call("curves", run, other, "-o", tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["run"], row["epoch"]) for row in rows] == [(n, e) for n in ("run", "other") for e in ("1", "2")]
    assert all(0 <= float(row["val"]) <= 1 for row in rows)


def test_names_tell_folders_apart(tmp_path):
    a, b, c = tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "c"
    assert names_of([a, c]) == ["run", "c"]
    assert names_of([a, b]) == ["a/run", "b/run"]


def test_what_is_refused(refused, run, tmp_path):
    assert "is not a run folder" in refused("curves", tmp_path, "-o", tmp_path / "a.png")
    assert "no run is given" in refused("curves", "-o", tmp_path / "a.png")
    assert f"'{run}' is given twice" in refused("curves", run, run, "-o", tmp_path / "a.png")
    assert f"-o {tmp_path}/a.png or -o {tmp_path}/a.csv" in refused("curves", run, "-o", tmp_path / "a.jpg")
    assert "a.png' cannot be written" in refused("curves", run, "-o", run / "recipe.json" / "a.png")
    assert "has no option --run; give the run folders alone, first" in refused("curves", "--run", run)
