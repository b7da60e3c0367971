"""`wholeframe dependence`: a table and a figure of every block, for images and videos, for runs and names."""

import csv
import shutil

import pytest
import torch
from PIL import Image

SIZES = {"site", "block", "samples", "positions", "keys", "queries"}


def rows_of(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_run(call, capsys, run, photos, tmp_path):
    call("dependence", run, "--data", photos, "--images", 5, "-o", tmp_path)
    told = capsys.readouterr().out
    assert f"'{photos}': 5 images of " in told and "(chosen with seed 0)" in told
    assert "stage3.5" in told and "NonLocal" in told
    assert "No figure here shows that one query would do" in told
    (row,) = rows_of(tmp_path / "dependence.csv")
    assert row.keys() >= SIZES and row["samples"] == "5" and row["step"] == ""
    assert 0 < float(row["input_p10"]) <= float(row["input"]) <= float(row["input_p90"]) < 1
    assert 0 <= float(row["query_between"]) <= 1
    with Image.open(tmp_path / "dependence.png") as figure:
        assert figure.width > 800


@pytest.mark.slow
def test_the_same_seed_takes_the_same_images(call, run, photos, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        call("dependence", run, "--data", photos, "--images", 4, "--seed", seed, "-o", tmp_path / name)
    a, b, c = ((tmp_path / name / "dependence.csv").read_text() for name in "abc")
    assert a == b != c


@pytest.mark.slow
def test_every_checkpoint_of_a_run(call, capsys, run, photos, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    content = torch.load(folder / "last.ckpt", weights_only=True)
    last = content["global_step"]
    content["global_step"] = 1
    for name, value in content["state_dict"].items():
        if name.endswith("wholeframe.norm.weight"):
            value.fill_(2.0)
    torch.save(content, folder / "early.ckpt")
    (folder / "best.ckpt").unlink()
    call("dependence", folder, "--data", photos, "--images", 3)
    told = capsys.readouterr().out
    assert f"the run keeps early.ckpt (step 1), last.ckpt (step {last}); --checkpoints measures each of them" in told
    call("dependence", folder, "--data", photos, "--images", 3, "--checkpoints", "-o", tmp_path / "out")
    told = capsys.readouterr().out
    assert "step 1" in told and f"step {last}" in told and "over-steps.png" in told
    early, late = rows_of(tmp_path / "out" / "dependence.csv")
    assert (early["step"], late["step"]) == ("1", str(last)) and early["input"] == late["input"]
    assert early["output"] != late["output"]
    with Image.open(tmp_path / "out" / "over-steps.png") as figure:
        assert figure.width > 300


@pytest.mark.slow
def test_a_name_has_random_weights_and_a_broken_file_is_named(call, capsys, photos, tmp_path):
    folder = shutil.copytree(photos, tmp_path / "photos")
    (folder / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    call("dependence", "r18_nl1", "--data", folder / "cat", "--images", 99)
    told = capsys.readouterr().out
    assert "r18_nl1 has random weights; give a run or --weights FILE" in told
    assert "left out: " in told and "broken.png" in told
    assert "layer3.0: the block adds nothing to its input, so its output has no statistics" in told


def test_a_detector(call, capsys, photos, tmp_path):
    call("dependence", "maskrcnn_tiny_nl1", "--data", photos, "--images", 2, "-o", tmp_path)
    (row,) = rows_of(tmp_path / "dependence.csv")
    assert (row["site"], row["samples"]) == ("backbone.body.layer3.0", "2")


@pytest.mark.slow
def test_refusals(refused, run, photos, tmp_path):
    told = refused("dependence", "r18_nl1", "--data", photos, "--checkpoints")
    assert "--checkpoints applies to a run folder with checkpoints, and 'r18_nl1' has none; leave it out" in told
    told = refused("dependence", run, "--data", photos, "--checkpoints", "--weights", "best")
    assert "--checkpoints measures all weights of a run; leave --weights best out" in told
    assert "there is no block at 'x'; there are blocks at stage3.5" in refused(
        "dependence", run, "--data", photos, "--images", 1, "--site", "x"
    )
    assert "images must be at least 1" in refused("dependence", run, "--data", photos, "--images", 0)
    (tmp_path / "empty").mkdir()
    assert "has no image" in refused("dependence", run, "--data", tmp_path / "empty")
    (tmp_path / "empty" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "a.png' is not an image" in refused("dependence", run, "--data", tmp_path / "empty")
    assert "give --data DIR" in refused("dependence", run, "--dataset", photos)
