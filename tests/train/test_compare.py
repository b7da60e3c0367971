"""The measurement of one arm of a comparison."""

import dataclasses

import pytest

from wholeframe.models.build import ModelConfig
from wholeframe.train.arms import Arm
from wholeframe.train.compare import train_one
from wholeframe.train.inputs.images import Images
from wholeframe.train.loaders import marker_splits
from wholeframe.train.recipe import Recipe, Schedule


@pytest.fixture(scope="module")
def splits():
    return marker_splits("recall", Images(size=32, batch=8, workers=0), 0, steps=2, test=8)


def recipe(block):
    return Recipe(
        ModelConfig(backbone="small_dense", block=block), Images(size=32, batch=8, workers=0), Schedule(epochs=1)
    )


@pytest.mark.slow
def test_what_a_training_is_measured_by(splits):
    bare, _ = train_one(Arm("recall", "none", recipe(None).model), recipe(None), splits)
    result, network = train_one(Arm("recall", "nl", recipe("nl").model), recipe("nl"), splits)
    block = network.stage3[-1].wholeframe
    assert (bare.block, bare.params, result.block) == ("none", 0, "nl")
    assert result.params == sum(p.numel() for p in block.parameters()) == result.network_params - bare.network_params
    assert result.macs - bare.macs == block.multiply_adds((16, 16))
    assert 0 <= result.accuracy <= 1 and result.train_s > 0 and result.infer_ms > 0


@pytest.mark.slow
def test_the_checksum_is_that_of_the_batches_in_their_order(splits):
    def batches(block, seed):
        data = Images(size=32, batch=8, workers=0)
        samples = splits if seed == 0 else marker_splits("recall", data, seed, steps=2, test=8)
        each = dataclasses.replace(recipe(block), seed=seed)
        return train_one(Arm("recall", str(block), each.model), each, samples)[0].batches

    assert batches(None, 0) == batches("nl", 0) == batches("gc", 0) != batches("nl", 1)


@pytest.mark.slow
def test_the_curve_of_a_training(splits):
    """The losses are those of its steps, and the last score is the accuracy."""
    result, _ = train_one(Arm("recall", "nl", recipe("nl").model), recipe("nl"), splits)
    assert result.steps == len(result.losses) == 2 and all(0.3 < loss < 2 for loss in result.losses)
    assert result.scores == [result.accuracy]
    again, _ = train_one(Arm("recall", "nl", recipe("nl").model), recipe("nl"), splits)
    assert again.losses == result.losses, "to the bit, as a comparison that continues needs them"


@pytest.mark.slow
def test_the_figure_of_recall_is_that_of_recall_alone(splits):
    on_recall, _ = train_one(Arm("recall", "nl", recipe("nl").model), recipe("nl"), splits)
    elsewhere, _ = train_one(Arm("gist", "nl", recipe("nl").model), recipe("nl"), splits)
    assert on_recall.on_answer is not None and elsewhere.on_answer is None
