"""Folders of evaluations: one for each way to evaluate, and none that is lost or half written."""

import json

import pytest
import torch
from PIL import Image

from wholeframe.train.evaluations import evaluation, name_of, samples_checksum
from wholeframe.train.run import Run
from wholeframe.train.tasks.class_scores import ClassScores

FILES = {"settings.json", "figures.json", "scores.csv", "classes.csv", "confusion.csv", "confusion.png"}
SCORES = ClassScores(torch.eye(2), torch.tensor([0, 1]))


def evaluated(run, settings, scores=SCORES):
    with evaluation(run.folder / "evaluations", "last-val", settings) as folder:
        names = [(f"{number}.png",) for number in range(len(scores.labels))]
        classes = [f"c{k}" for k in range(scores.probabilities.shape[1])]
        scores.write(folder.path, names, ("file",), classes, "title")
    return folder.path


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


@pytest.mark.parametrize("labels", [torch.tensor([0, 1]), torch.eye(2)], ids=["one", "many"])
def test_all_files_are_written(run, labels):
    folder = evaluated(run, {"split": "val"}, ClassScores(torch.eye(2), labels))
    assert folder == run.folder / "evaluations" / "last-val" and {file.name for file in folder.iterdir()} == FILES
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["split"] == "val" and "torch" in settings["environment"]
    assert json.loads((folder / "figures.json").read_text())["samples"] == 2
    with Image.open(folder / "confusion.png") as image:
        assert image.format == "PNG"


@pytest.mark.slow
def test_another_evaluation_is_never_replaced(run):
    first = evaluated(run, {"data": "a"})
    before = {file.name: file.read_bytes() for file in first.iterdir()}
    second = evaluated(run, {"data": "b"})
    assert second.name == "last-val-2" and {file.name: file.read_bytes() for file in first.iterdir()} == before
    assert evaluated(run, {"data": "b"}) == second, "the same evaluation again takes its own place"
    (first / "settings.json").write_text("damaged")
    assert evaluated(run, {"data": "a"}).name == "last-val-3"
    assert len(list((run.folder / "evaluations").iterdir())) == 3


def test_an_evaluation_that_fails_leaves_nothing(run):
    with pytest.raises(RuntimeError), evaluation(run.folder / "evaluations", "last-val", {}):
        raise RuntimeError
    assert not list((run.folder / "evaluations").iterdir())


def test_a_run_that_cannot_be_written_fails_before_the_work(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "evaluations").write_text("a file")
    with pytest.raises(OSError, match="evaluations"), evaluation(tmp_path / "run" / "evaluations", "last-val", {}):
        pytest.fail("the work has begun")


def test_names_and_checksums():
    assert name_of("last", "val", None, "10x3", "x$\\frac$\n[b]") == "last-val-10x3-x_frac_b_"
    assert len(name_of("x" * 300)) == 40
    assert samples_checksum([("a", "b")]) != samples_checksum([("ab", "")])
