"""A run that is given more epochs follows the schedule of that many from there on."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from wholeframe.train.fit import fit
from wholeframe.train.inputs.images import Images
from wholeframe.train.loaders import Splits
from wholeframe.train.longer import consequence, with_epochs
from wholeframe.train.recipe import SGD, AdamW, Cosine, OneCycle, Recipe, Schedule, Steps
from wholeframe.train.run import Run, read_checkpoint

DATA = Images(size=4, batch=4, workers=0)
RATES = {"OneCycle": OneCycle(), "Cosine": Cosine(), "Steps": Steps(drops=(1,))}


def train(run, recipe, resume):
    torch.manual_seed(0)
    samples = TensorDataset(torch.randn(8, 3, 4, 4), torch.arange(8) % 2)
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    return fit(recipe, network, Splits(samples, samples, ("a", "b"), DATA, seed=0), run, resume=resume)


def state(run):
    content = read_checkpoint(run.last)
    return content["optimizer_states"][0]["param_groups"][0]["lr"], content["state_dict"]["network.1.weight"]


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("optimizer", [SGD(), AdamW()], ids=["SGD", "AdamW"])
def test_the_rate_is_that_of_the_longer_schedule(tmp_path, rate, optimizer):
    recipe = Recipe(data=DATA, schedule=Schedule(2, lr=0.1, optimizer=optimizer, rate=RATES[rate]))
    longer, whole = with_epochs(recipe, 4), Run(tmp_path / "whole")
    train(whole, longer, resume=False)
    run = Run(tmp_path / "run")
    train(run, recipe, resume=False)
    trainer = train(run, longer, resume=True)
    assert trainer.current_epoch == 4 and run.epochs() == 4
    assert state(run)[0] == pytest.approx(state(whole)[0], rel=1e-12)
    if rate == "Steps":
        assert torch.equal(state(run)[1], state(whole)[1]), "drops do not depend on the number of epochs"


def test_what_it_means_is_said():
    recipe = Recipe(schedule=Schedule(40, rate=Cosine()))
    assert consequence(recipe, 40, 60) == (
        "epochs: 40 before, 60 now, 40 done; the learning rate follows Cosine over 60 epochs from here on, so that it "
        "jumps, and the result is not that of a run which had 60 epochs from the start"
    )
    steps = dataclasses.replace(recipe, schedule=Schedule(40, rate=Steps(drops=(30.5,))))
    assert consequence(steps, 12, 60).endswith("; the learning rate keeps its drops after epochs 30.5")


def test_a_schedule_that_does_not_fit():
    with pytest.raises(ValueError, match="drops must increase and lie within the 20 epochs"):
        with_epochs(Recipe(schedule=Schedule(40, rate=Steps(drops=(30,)))), 20)
