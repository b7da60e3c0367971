"""`wholeframe evaluate`: a folder for each way to evaluate, labels by name, and names from outside as they are."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from wholeframe.commands import train


@pytest.fixture
def own(run, tmp_path):
    """A copy of the run that a test may write into."""
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("evaluations"))
    return tmp_path / "run"


def rows_of(file):
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def evaluations(run):
    return sorted(folder.name for folder in (run / "evaluations").iterdir())


@pytest.mark.slow
def test_every_way_to_evaluate_has_its_own_folder(call, own, photos):
    call("evaluate", own, "--data", photos)
    before = (own / "evaluations" / "last-val" / "scores.csv").read_bytes()
    call("evaluate", own, "--data", photos, "--precise-bn", 2)
    call("evaluate", own, "--data", photos, "--split", "train", "--weights", "best")
    assert evaluations(own) == ["best-train", "last-val", "last-val-precise-bn2"]
    assert (own / "evaluations" / "last-val" / "scores.csv").read_bytes() == before
    settings = json.loads((own / "evaluations" / "last-val-precise-bn2" / "settings.json").read_text())
    assert settings["precise_bn"] == 2 and settings["data"] == str(photos) and len(settings["weights_sha256"]) == 64


@pytest.mark.slow
def test_the_same_evaluation_again_and_after_more_training(call, own, photos):
    for _ in range(2):
        call("evaluate", own, "--data", photos)
    assert evaluations(own) == ["last-val"]
    checkpoint = torch.load(own / "last.ckpt", weights_only=True)
    torch.save({**checkpoint, "epoch": 7}, own / "last.ckpt")
    call("evaluate", own, "--data", photos)
    assert evaluations(own) == ["last-val", "last-val-2"], "another checkpoint, another evaluation"


@pytest.mark.slow
def test_another_folder_is_evaluated_as_a_whole(call, capsys, own, tmp_path, make_photos):
    other = make_photos(tmp_path / "others", count=5)
    call("evaluate", own, "--data", other)
    told = capsys.readouterr().out
    assert f"the run was not trained on '{other}', which is not split: all of it is evaluated" in told
    assert "on all 10 images, weights last" in told and evaluations(own) == ["last-all-others"]
    call("evaluate", own, "--data", other, "--split", "val")
    assert "on 2 val images" in capsys.readouterr().out


@pytest.mark.slow
def test_classes_in_part_are_matched_by_name(call, capsys, tmp_path, make_photos):
    photos = make_photos(tmp_path / "three", ("ant", "bee", "cat"))
    options = ["--size", "16", "--batch", "8", "--workers", "0", "--epochs", "1"]
    train.main(["small_nl", "--data", str(photos), "--out", str(tmp_path / "r"), *options])
    call("evaluate", tmp_path / "r", "--data", photos, "--split", "all")
    whole = {row["file"]: row for row in rows_of(tmp_path / "r" / "evaluations" / "last-all" / "scores.csv")}
    shutil.copytree(photos, tmp_path / "part", ignore=shutil.ignore_patterns("bee"))
    capsys.readouterr()
    call("evaluate", tmp_path / "r", "--data", tmp_path / "part")
    assert "labels are matched by name: 2 of the 3 classes of the run are in the data" in capsys.readouterr().out
    rows = rows_of(tmp_path / "r" / "evaluations" / "last-all-part" / "scores.csv")
    assert len(rows) == 24 and all(row == whole[row["file"]] for row in rows)


def test_unequal_classes_are_said(call, capsys, own, photos, tmp_path):
    shutil.copytree(photos, tmp_path / "few")
    for file in sorted((tmp_path / "few" / "dog").iterdir())[3:]:
        file.unlink()
    call("evaluate", own, "--data", tmp_path / "few")
    told = capsys.readouterr().out
    assert (
        "balanced accuracy" in told and "(the classes are unequal: 3 to 12 samples each, the fewest of 'dog')" in told
    )


ODD = ("x$\\frac$", "[bold]b", "a\nb,;\"'<b>|", "l" * 250, os.fsdecode(b"\xff\xfe"), ":cat:", "label", "猫")


@pytest.mark.slow
def test_names_from_outside_are_never_markup(call, capsys, tmp_path):
    draw = np.random.default_rng(0)
    for name in ODD:
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(2):
            pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{name[:40]}{number}.png")
    options = ["--size", "16", "--batch", "8", "--workers", "0", "--epochs", "1"]
    call("train", "small_nl", "--data", tmp_path / "data", "--out", tmp_path / "r", *options)
    capsys.readouterr()
    call("evaluate", tmp_path / "r", "--data", tmp_path / "data", "--split", "all")
    told = "".join(capsys.readouterr().out.replace("│", "").split())
    for name in ("x$\\frac$", "[bold]b", "a\\nb,;\"'<b>|", "…", "\\udcff\\udcfe", ":cat:", "猫"):
        assert name in told, name
    rows = rows_of(tmp_path / "r" / "evaluations" / "last-all" / "classes.csv")
    assert {row["class"] for row in rows} == {name.replace("\udcff\udcfe", "\\udcff\\udcfe") for name in ODD}
    assert len(rows_of(tmp_path / "r" / "evaluations" / "last-all" / "scores.csv")) == 16
