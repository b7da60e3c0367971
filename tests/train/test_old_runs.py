"""Run folders of before the renaming are read, evaluated and continued. `old_run/README.md` says how one was made."""

import csv
import json
import math
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from wholeframe.commands import evaluate, explain, predict, train
from wholeframe.data.video.sampling import Sampling
from wholeframe.models import build
from wholeframe.models.build import ModelConfig
from wholeframe.models.toy import ToyNet
from wholeframe.train import old_runs
from wholeframe.train.inputs.clips import Clips
from wholeframe.train.inputs.images import Images
from wholeframe.train.recipe import SGD, Recipe, Schedule, Steps, described
from wholeframe.train.run import Run, load_run, read_checkpoint, write_json
from wholeframe.train.tasks.classification import Classification

OLD = Path(__file__).parent / "old_run"
PHOTO = OLD / "photos" / "test" / "cat" / "0.png"
MODEL = ModelConfig("small", block="nl", options={"init": "identity", "attend_over": "space", "kind": "dot"})
COMMAND = ["--size", "8", "--batch", "4", "--workers", "0", "--epochs", "3", "--lr", "0.01"]
OPTIONS = ["--block-options", "init=identity", "attend_over=space", "kind=dot"]


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """The network of the run has 8 channels instead of 48, so that its checkpoints are small."""
    monkeypatch.setitem(build.BACKBONES, "small", partial(ToyNet, strides=(2, 2, 2), depth=2, width=8))


@pytest.fixture
def run(tmp_path):
    shutil.copytree(OLD / "run", tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.fixture
def whole(run):
    """The run with the weights that the old version reached after all epochs."""
    state = {f"network.{key}": value for key, value in load_file(OLD / "expected.safetensors").items()}
    torch.save({**read_checkpoint(run.last), "state_dict": state, "epoch": 2}, run.last)
    return run


def test_the_recipe_in_the_words_of_today(run):
    assert run.recipe() == Recipe(
        model=MODEL, data=Images(size=8, batch=4, workers=0), schedule=Schedule(3, lr=0.01, clip=1.0)
    )
    assert run.classes() == ("cat", "dog") and run.epochs() == 2


@pytest.mark.slow
def test_resume_ends_with_the_weights_of_the_old_version(run):
    best = read_checkpoint(run.best)["epoch"]
    train.main(["small_nl", "--data", str(OLD / "photos"), "--out", str(run.folder), *COMMAND, *OPTIONS, "--resume"])
    assert run.epochs() == 3
    expected, state = load_file(OLD / "expected.safetensors"), run.network().state_dict()
    assert expected.keys() == state.keys()
    for name, value in state.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5, msg=name)
    # The best score so far is remembered, so that an epoch that only equals it is not the best.
    assert read_checkpoint(run.best)["epoch"] == best == 0

    with run.metrics.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    old = {"epoch", "step", "train/loss", "val/loss", "val/accuracy"}
    new = {"train/epoch_loss", "train/accuracy", "train/images_per_second", "lr/backbone"}
    assert set(rows[0]) == old | new
    assert [(row["epoch"], row["val/accuracy"]) for row in rows if row["val/accuracy"]] == [
        ("0", "0.5"),
        ("1", "0.5"),
        ("2", "0.5"),
    ]


def test_evaluate(whole, capsys):
    evaluate.main([str(whole.folder), "--data", str(OLD / "photos")])
    assert "top-1 0.5000 on 4 val images, weights last" in capsys.readouterr().out
    with (
        (whole.folder / "evaluations" / "last-val-photos" / "scores.csv").open(newline="") as now,
        (OLD / "expected_scores.csv").open() as before,
    ):
        for row, old in zip(csv.DictReader(now), csv.DictReader(before), strict=True):
            assert (row["file"], row["label"], row["prediction"]) == (old["file"], old["label"], old["answer"])
            for name in ("cat", "dog"):
                assert float(row[name]) == pytest.approx(float(old[name]), abs=1e-5)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("weights", ["last", "best"])
def test_predict_explain_and_load(run, tmp_path, capsys, weights):
    predict.main([str(run.folder), str(PHOTO), "--weights", weights])
    explain.main(
        [str(run.folder), str(PHOTO), "--query", "1", "2", "-o", str(tmp_path / "a.png"), "--weights", weights]
    )
    told = capsys.readouterr().out
    assert " cat " in told and "NonLocal at stage3" in told and (tmp_path / "a.png").is_file()
    assert load_run(run.folder, weights)(torch.zeros(1, 3, 8, 8)).shape == (1, 2)


def test_a_run_on_clips(tmp_path):
    """The recipe of an old training on clips; its options are those of the released Caffe2 code's groups."""
    write_json(
        tmp_path / "recipe.json",
        {
            "type": "Recipe",
            "model": {
                "type": "Model",
                "host": "c2d_r50",
                "weights": None,
                "block": "nl_dot",
                "at": ["layer3.4"],
                "options": {"birth": "random", "reach": "spacetime", "groups": None, "frames": 4, "pool": [1, 2, 2]},
            },
            "data": {
                "type": "Clips",
                "sampling": {"type": "Sampling", "frames": 8, "stride": 8, "short": "clamp", "views": "pyslowfast"},
                "size": 112,
                "colours": "torchvision",
                "window": math.inf,
                "batch": 4,
                "flip": False,
                "test_fraction": 0.3,
                "workers": 0,
            },
            "schedule": {
                "type": "Schedule",
                "epochs": 5,
                "lr": 0.01,
                "block_lr": 1.0,
                "weight_decay": 0.0001,
                "clip": None,
                "optimizer": {"type": "SGD", "momentum": 0.9, "nesterov": True},
                "rate": {"type": "Steps", "drops": [2, 4], "factor": 0.1, "warmup": 0},
            },
            "labels": "many",
            "seed": 3,
            "precision": "bf16-mixed",
        },
    )
    options = {"init": "random", "attend_over": "spacetime", "frame_groups": None, "frames_per_group": 4}
    assert Run(tmp_path).recipe() == Recipe(
        model=ModelConfig("c2d_r50", block="nl_dot", at=("layer3.4",), options={**options, "pool": (1, 2, 2)}),
        data=Clips(
            Sampling(8, 8, "clamp", "pyslowfast"),
            112,
            "torchvision",
            math.inf,
            4,
            flip=False,
            val_fraction=0.3,
            workers=0,
        ),
        schedule=Schedule(5, 0.01, weight_decay=1e-4, optimizer=SGD(), rate=Steps((2, 4))),
        task=Classification("many"),
        seed=3,
        precision="bf16-mixed",
    )


@pytest.mark.parametrize(
    ("block", "old", "new"),
    [
        ("nl_gaussian", {"birth": "zero", "groups": 2}, {"init": "identity", "frame_groups": 2}),
        (
            "cgnl_rbf",
            {"birth": "zero", "reach": 9.0, "groups": 4},
            {"init": "identity", "max_span": 9.0, "groups": 4},
        ),
        ("cgnl", {"birth": "random"}, {"init": "random"}),
        ("gc", {"birth": "zero", "ratio": 0.25}, {"init": "zero", "ratio": 0.25}),
        ("gsop_channel", {"inner": 24}, {"inner": 24}),
    ],
)
def test_options_of_each_block(block, old, new):
    assert old_runs.block_options(block, old) == new
    assert old_runs.block_options(block, new) == new, "options of today stay as they are"
    build.block_maker(block, new)(64)


def test_a_recipe_of_today_passes_through():
    fields = json.loads(json.dumps(described(Recipe(model=MODEL, task=Classification("many")))))
    assert old_runs.recipe_fields(fields) == fields
