"""A training that loses a block ends before it saves."""

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.utils.data import TensorDataset

import wholeframe as wf
from wholeframe.models.build import ModelConfig
from wholeframe.train.fit import fit, network_for
from wholeframe.train.inputs.images import Images
from wholeframe.train.loaders import Splits
from wholeframe.train.recipe import Recipe, Schedule
from wholeframe.train.run import Run

DATA = Images(size=8, batch=16, workers=0)
RECIPE = Recipe(ModelConfig(backbone="small", block="gc", options={"ratio": 0.25}), DATA, Schedule(epochs=2, lr=0.01))


class Drops(Callback):
    """Puts another module in the place of a site, as a tool that folds layers does."""

    def on_train_epoch_end(self, trainer, pl_module):
        pl_module.network.set_submodule(wf.blocks_of(pl_module.network)[0].site, nn.Identity())


@pytest.mark.slow
def test_a_network_that_has_lost_a_block_is_not_saved(tmp_path):
    images = TensorDataset(torch.randn(16, 3, 8, 8), torch.arange(16) % 2)
    splits = Splits(images, images, ("dark", "bright"), DATA, seed=0)
    run = Run(tmp_path / "run")
    with pytest.raises(ValueError, match=r"inserted blocks is lost:"):
        fit(RECIPE, network_for(RECIPE, 2), splits, run, callbacks=[Drops()])
    assert not run.last.exists()
