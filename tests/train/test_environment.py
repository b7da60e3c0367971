"""What a training ran on, as its run folder records it."""

import importlib.metadata
import json
import shutil
import subprocess

import pytest
import torch
import torchvision

import wholeframe
from wholeframe.train.devices import Devices
from wholeframe.train.environment import environment
from wholeframe.train.recipe import Recipe
from wholeframe.train.run import Run


def test_versions_and_precision(tmp_path):
    Run(tmp_path / "run").write(Recipe(precision="bf16-mixed"), ("a",), None)
    record = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert record["wholeframe"] == wholeframe.__version__ and record["precision"] == "bf16-mixed"
    for package in ("lightning", "timm", "av"):
        assert record[package] == importlib.metadata.version(package)
    assert record["torch"] == torch.__version__ and record["torchvision"] == torchvision.__version__
    assert record["float32_matmul"] == "highest" and "precision" not in environment()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git to make a repository")
def test_the_commit_that_is_checked_out(tmp_path, monkeypatch):
    def git(*arguments):
        name = ["-c", "user.name=a", "-c", "user.email=a@b"]
        told = subprocess.run(["git", *name, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return told.stdout.strip()

    inside = tmp_path / "code"
    inside.mkdir()
    monkeypatch.chdir(inside)
    assert "commit" not in environment()
    git("init", "-q")
    assert "commit" not in environment(), "there is none yet"
    git("commit", "-q", "--allow-empty", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert environment()["commit"] == commit
    git("pack-refs", "--all")
    assert environment()["commit"] == commit
    git("worktree", "add", "-q", "elsewhere")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert environment()["commit"] == commit
    git("checkout", "-q", "--detach")
    monkeypatch.chdir(inside)
    assert environment()["commit"] == commit


def test_a_precision_that_would_be_another_is_refused():
    with pytest.raises(ValueError, match=r"precision='16-mixed' needs an accelerator, .* give --precision bf16-mixed"):
        Devices(accelerator="cpu").refuse(Recipe(precision="16-mixed"), 10)
