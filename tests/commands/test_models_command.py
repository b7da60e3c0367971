"""`wholeframe models` and `wholeframe cost`, as a person calls them."""

import re
import shlex

import pytest

from wholeframe.commands import cost, models, train
from wholeframe.models.zoo import MODELS
from wholeframe.models.zoo.sizes import SIZES


def test_all_networks_are_listed(capsys):
    models.main([])
    told = capsys.readouterr().out
    for name in MODELS:
        params, macs = SIZES[name]
        assert re.search(rf"^ {name} .* {params / 1e6:.2f} .* {macs / 1e9:.2f}", told, re.MULTILINE), name
    assert "77.70 top-1 %" in told and "22.02 top-1 error %" in told and "published figures, not ours" in told


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


def test_what_is_unverified_is_labelled(capsys):
    models.main(["gsop1_r50"])
    rows = [line for line in capsys.readouterr().out.splitlines() if re.match(r" +(28\.05|6\.18) ", line)]
    assert len(rows) == 2 and all("unverified" in row for row in rows)


@pytest.mark.parametrize("command", ["models", "cost"])
def test_wrong_names(refused, command):
    assert "'r50_gcc'" in refused(command, "r50_gcc") and "r50_gc" in refused(command, "r50_gcc")


def test_cost_of_a_named_network(capsys):
    cost.main(["r50_gc", "--input", "3", "64", "64"])
    told = capsys.readouterr().out
    assert told.startswith("r50_gc on 3 x 64 x 64, 1000 classes\n  28,078,773 parameters, ")
    assert re.search(r"3\.87 +3\.87 +G multiply-adds", told) and "top-1" not in told


@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/resnet18", "resnet18"])
def test_cost_of_other_networks(capsys, name):
    cost.main([name])
    assert "11,689,512 parameters, 1,814,073,344 multiply-adds" in capsys.readouterr().out


def test_measured(capsys):
    cost.main(["torchvision/resnet18", "--input", "3", "64", "64", "--measure"])
    told = capsys.readouterr().out
    assert re.search(r"^  forward: [\d,]+ ms, [1-9][\d,]* MiB above the weights$", told, re.MULTILINE)
    assert re.search(r"^  forward and backward: [\d,]+ ms, [1-9][\d,]* MiB above the weights$", told, re.MULTILINE)
    assert "one sample, cpu, 1 threads, float32" in told


def test_an_input_that_does_not_fit(refused):
    assert "does not run on 3 x 64" in refused("cost", "r18", "--input", "3", "64")
