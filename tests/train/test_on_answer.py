"""Whether the strongest key of a query of `recall` lies on the marker of its answer."""

import dataclasses

import pytest
import torch

from wholeframe.data.synthetic import places_of_recall, recall
from wholeframe.explain.attention import Attention
from wholeframe.explain.frame import Frame
from wholeframe.explain.recording import Recording
from wholeframe.explain.survey import survey
from wholeframe.models.build import ModelConfig, build
from wholeframe.recipes import synthetic
from wholeframe.train.arms import Arm
from wholeframe.train.compare import train_one
from wholeframe.train.loaders import marker_splits
from wholeframe.train.on_answer import lies_on, on_answer, strongest_on_answers

SITE = "stage3.2"


def record(cell):
    """A record of the 16 x 16 grid of the small network, whose first cell is centred at the first pixel."""
    weights, frame = torch.zeros(16, 16), Frame(((-0.5, 31.5), (-0.5, 31.5)))
    weights[cell] = 1
    return Attention(SITE, "NonLocal", "pairwise", (0, 0), (16, 16), frame, weights, frame)


@pytest.mark.parametrize(
    ("cell", "answer", "on"),
    [
        ((4, 4), (8, 8), True),
        ((4, 5), (8, 8), True),
        ((4, 6), (8, 8), False),
        ((6, 4), (8, 8), False),
        ((3, 4), (8, 8), True),
        ((2, 4), (8, 8), False),
        ((4, 5), (9, 9), True),
        ((4, 3), (9, 9), False),
        ((4, 6), (9, 9), False),
    ],
)
def test_a_key_lies_on_the_marker_that_its_cell_overlaps(cell, answer, on):
    """Cell c covers the pixels from 2 c - 1/2 to 2 c + 3/2, and the marker those from answer - 1 to answer + 2."""
    assert lies_on(record(cell), answer) == on


def trained(block, seed, steps):
    recipe = synthetic.small_dense(seed)
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, block=block))
    splits = marker_splits("recall", synthetic.DATA, seed, steps=steps, test=64)
    return train_one(Arm("recall", block, recipe.model), recipe, splits)


@pytest.mark.slow
def test_queries_of_recall_look_at_their_answers():
    """300 steps, those of `wholeframe compare`; with seeds 0, 1 and 2 the share is 0.990, 0.990 and 0.995."""
    images, places = recall(64, 999)[0], places_of_recall(64, 999)
    result, network = trained("nl", seed=0, steps=300)
    assert strongest_on_answers(network, images, places, SITE) >= 0.95
    assert result.on_answer is not None and result.on_answer >= 0.95

    (nl,), _ = survey(network, images.split(16))
    (gc,), _ = survey(trained("gc", seed=0, steps=20)[1], images.split(16))
    for name in ("output", "attention", "divergence"):
        assert nl.mean(name) > 0.05 and nl.mean(name) >= 10 * gc.mean(name)
        assert gc.mean(name) < 1e-6, "a block with one map adds the same everywhere"


@pytest.mark.slow
def test_an_untrained_block_does_not():
    torch.manual_seed(0)
    images, places = recall(4, 999)[0], places_of_recall(4, 999)
    result, network = trained("nl", seed=0, steps=1)
    assert strongest_on_answers(network, images, places, SITE) < 0.5
    assert result.on_answer is not None and result.on_answer < 0.5


@pytest.mark.parametrize("block", [None, "gc", "se"])
def test_without_a_map_for_each_query_there_is_no_figure(block):
    options = {} if block is None else {"ratio": 0.25}
    example = torch.zeros(1, 3, 32, 32)
    assert on_answer(build(ModelConfig(backbone="small_dense", block=block, options=options), 2, example), 0) is None


def test_of_several_blocks_the_largest_share():
    torch.manual_seed(0)
    network = build(ModelConfig("small_dense", block="nl", at=("stage2", "stage3")), 2, torch.zeros(1, 3, 32, 32))
    images, places = recall(3, 5)[0], places_of_recall(3, 5)
    shares = [strongest_on_answers(network, images, places, site) for site in Recording(network, images[:1]).sites]
    assert len(set(shares)) == 2 and on_answer(network, 5, images=3) == max(shares)
