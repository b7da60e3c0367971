"""`wholeframe models`, as a person calls it."""

import re
import shlex

import pytest

from wholeframe.commands import models, train
from wholeframe.models.zoo import MODELS
from wholeframe.models.zoo.sizes import SIZES


def test_all_networks_are_listed(capsys):
    models.main([])
    told = capsys.readouterr().out
    for name in MODELS:
        params, macs = SIZES[name]
        assert re.search(rf"^ {name} .* {params / 1e6:.2f} .* {macs / 1e9:.2f}", told, re.MULTILINE), name
    assert "77.70 top-1 %" in told and "22.02 top-1 error %" in told and "published figures, not ours" in told


@pytest.mark.slow
def test_a_card(capsys):
    models.main(["r50_gc"])
    told = " ".join(capsys.readouterr().out.split())
    for fact in (
        "paper Cao et al., GCNet",
        "input 3 x 224 x 224, 1000 classes",
        "weights of the backbone: torchvision's, BSD-3-Clause",
        "train wholeframe train imagenet --backbone r50_gc --data DIR --out runs/r50_gc",
        "77.70 top-1 %",
        "28,078,773 28,078,773 parameters",
        "3.87 3.87 G multiply-adds Cao et al., GCNet (arXiv 1904.11492), table 4 stride 1x1",
    ):
        assert fact in told


@pytest.mark.slow
def test_the_commands_train_the_networks():
    for name, network in MODELS.items():
        if network.command:
            words = shlex.split(network.command)
            model = train.parse(words[2:]).recipe.model
            assert words[:2] == ["wholeframe", "train"] and (model.backbone, model.block) == (name, None)


@pytest.mark.slow
def test_what_is_unverified_is_labelled(capsys):
    models.main(["gsop1_r50"])
    rows = [line for line in capsys.readouterr().out.splitlines() if re.match(r" +(28\.05|6\.18) ", line)]
    assert len(rows) == 2 and all("unverified" in row for row in rows)


def test_wrong_names(refused):
    told = refused("models", "r50_gcc")
    assert "'r50_gcc'" in told and "r50_gc" in told.replace("'r50_gcc'", "")
