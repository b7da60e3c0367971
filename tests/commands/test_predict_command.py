"""`wholeframe predict` on photographs; and what evaluate writes down of them."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from wholeframe.models.build import create_backbone


def test_predict_with_a_run(call, capsys, run, photo, photos, tmp_path):
    other = photos / "cat" / "00.png"
    call("predict", run, photo, other, "--features", tmp_path / "f.npy", "--top", 1)
    told = capsys.readouterr().out
    assert sum(told.count(name) for name in (" cat ", " dog ")) == 2
    assert np.load(tmp_path / "f.npy").shape == (2, 48)


@pytest.mark.slow
def test_predictions_are_those_of_evaluate(call, capsys, run, photos):
    call("evaluate", run, "--data", photos)
    capsys.readouterr()
    with (run / "evaluations" / "last-val" / "scores.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4 and list(rows[0]) == ["file", "label", "prediction", "cat", "dog"]
    for row in rows:
        call("predict", run, photos / row["file"], "--top", 1)
        told = capsys.readouterr().out
        assert f" {row['prediction']} " in told and f"{float(row[row['prediction']]):.4f}" in told


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A state dict of torchvision's ResNet-18 that calls everything a goldfish."""
    torch.manual_seed(0)
    network = create_backbone("torchvision/resnet18", 1000)
    torch.nn.init.zeros_(network.fc.weight)
    network.fc.bias.data = torch.eye(1000)[1] * 20
    file = tmp_path_factory.mktemp("weights") / "r18.safetensors"
    save_file(network.state_dict(), file)
    return file


@pytest.mark.parametrize("name", ["torchvision/resnet18", "r18"])
def test_predict_with_weights_from_a_file(call, capsys, weights, photo, name):
    assert torchvision.models.ResNet18_Weights.DEFAULT.meta["categories"][1] == "goldfish"
    call("predict", name, photo, "--weights", weights, "--top", 1)
    assert " goldfish " in capsys.readouterr().out


@pytest.mark.slow
def test_weights_that_do_not_fit(refused, weights, photo, tmp_path):
    assert "these weights are of another network" in refused("predict", "resnet50", photo, "--weights", weights)
    assert "has only a part of the weights of 'r18_nl1'; it lacks layer3" in refused(
        "predict", "r18_nl1", photo, "--weights", weights
    )
    (tmp_path / "a.pth").write_text("no weights")
    told = refused("predict", "resnet18", photo, "--weights", tmp_path / "a.pth")
    assert f"'{tmp_path}/a.pth' holds no weights, or is damaged" in told


@pytest.mark.slow_beyond(3)
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("r50_gc", "PHOTO"), "there are no published weights of 'r50_gc' to download; train it and give the run"),
        (("resnet81", "PHOTO"), "neither torchvision nor timm has a model 'resnet81'; the nearest are"),
        (("resnet18", "PHOTO", "--weights", "X"), "weights='X' is not one of 'IMAGENET1K_V1', 'DEFAULT'"),
        (("RUN", "PHOTO", "--weights", "X"), "weights='X' does not exist: a run has the weights last and best"),
        (("RUN", "PHOTO", "--views", "10x3"), "--views 10x3 applies to videos, and this recipe is for images"),
        (("RUN", "PHOTO", "--features", "f.csv"), "features are saved as .npy or .safetensors, got 'f.csv'"),
        (("RUN", "PHOTO", "--top", "0"), "top must be at least 1, got 0"),
        (("RUN", "nowhere.jpg"), "there is no file 'nowhere.jpg'"),
        (("RUN",), "give at least one image or video"),
        (("RUN", "PHOTO", "--out", "a.txt"), "answers are saved as .csv or .jsonl, got 'a.txt'"),
        (("RUN", "PHOTO", "--every", "2s"), "--every 2s applies to videos, and this network takes images"),
        (("RUN", "PHOTO", "--out", "PHOTO/a.csv"), "photo.jpg/a.csv' cannot be written, because"),
    ],
)
def test_what_cannot_be_predicted(refused, run, photo, arguments, sentence):
    given = [argument.replace("RUN", str(run)).replace("PHOTO", str(photo)) for argument in arguments]
    assert sentence in refused("predict", *given)


def test_folders_and_lists(call, capsys, run, photos, tmp_path):
    (tmp_path / "l.txt").write_text(f"{photos}/cat/00.png\n{photos}/dog/03.png\n")
    call("predict", run, tmp_path / "l.txt", photos / "cat", "--out", tmp_path / "deep" / "a.csv", "--top", 1)
    told = capsys.readouterr().out
    assert f"'{tmp_path}/l.txt': 2 images" in told and f"'{photos}/cat': 12 images" in told
    with (tmp_path / "deep" / "a.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["file"] for row in rows[:3]] == [f"{photos}/cat/00.png", f"{photos}/dog/03.png", f"{photos}/cat/01.png"]
    assert len(rows) == 13 and all(float(row["cat"]) + float(row["dog"]) == pytest.approx(1, abs=1e-5) for row in rows)


def test_one_broken_file_does_not_take_the_answers_of_the_others(call, capsys, run, photo, photos, tmp_path):
    (tmp_path / "broken.jpg").write_text("this is text")
    files = (photo, tmp_path / "broken.jpg", photos / "cat" / "00.png")
    with pytest.raises(SystemExit) as end:
        call("predict", run, *files, "--out", tmp_path / "a.jsonl", "--features", tmp_path / "f.npy")
    told = capsys.readouterr()
    assert end.value.code == 1 and f"1 of 3 have no answer: '{tmp_path}/broken.jpg' is not an image" in told.err
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert ["error" in line for line in lines] == [False, True, False]
    assert np.load(tmp_path / "f.npy").shape == (2, 48) and "features of 2 files" in told.out


def test_what_is_read_is_not_replaced(refused, run, tmp_path):
    (tmp_path / "l.csv").write_text("file\na.png\n")
    told = refused("predict", run, tmp_path / "l.csv", "--out", tmp_path / "l.csv")
    assert "the answers would replace" in told and (tmp_path / "l.csv").read_text() == "file\na.png\n"


ODD = [
    "[bold]a.png",
    "[/red].png",
    "x$\\frac$.png",
    "a\nb.png",
    ":cat:.png",
    f"{'l' * 240}.png",
    os.fsdecode(b"\xff.png"),
]


def test_names_are_printed_letter_by_letter(call, capsys, run, photos, tmp_path):
    (tmp_path / "[").mkdir()
    for name in ODD:
        shutil.copy(photos / "cat" / "00.png", tmp_path / name)
    call("predict", run, tmp_path, "--top", 1, "--out", tmp_path / "a.csv")
    told = "".join(capsys.readouterr().out.replace("│", "").split())
    for name in ("[bold]a.png", "[/red].png", "x$\\frac$.png", "a\\nb.png", ":cat:.png", "\\udcff.png"):
        assert name in told, name
    assert "l…l" in told and "\x1b" not in told
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as stream:
        written = {row["file"].removeprefix(f"{tmp_path}/") for row in csv.DictReader(stream)}
    assert written == {name.replace("\udcff", "\\udcff") for name in ODD}


def test_evaluate_photographs_in_views(refused, run, photos):
    told = refused("evaluate", run, "--data", photos, "--views", "10x3")
    assert "--views 10x3 applies to videos, and this recipe is for images; leave --views out" in told
    told = refused("evaluate", run, "--data", photos, "--unit", "frames")
    assert "Unrecognized options: --unit" in told


def test_a_file_of_weights_alone_is_not_taken_for_a_name(refused, tmp_path):
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "theirs.pth")
    said = refused("predict", tmp_path / "theirs.pth", tmp_path / "a.png")
    assert "holds weights and not which network they belong to" in said and "`wholeframe convert '" in said
    assert "there is no 'other.pth'" in refused("predict", "other.pth", tmp_path / "a.png")
    (tmp_path / "text.pth").write_text("no weights")
    assert "holds no weights, or is damaged" in refused("predict", tmp_path / "text.pth", tmp_path / "a.png")
