"""A block goes through JSON and comes back with the same arguments, parts and keys."""

import copy
import inspect
import json
import pickle
from functools import partial

import pytest
import torch
from torch import nn

import wholeframe as wf
from wholeframe.blocks.recipe import build, recipe

MADE = {
    **{name: entry.make for name, entry in wf.BLOCKS.items()},
    "concat": partial(wf.GSoP, fusion="concat", channel=partial(wf.GSoPChannel, filters=2)),
    "cells": partial(wf.GSoPPosition, size=(4, 4)),
    "bat": wf.BAT,
    "cbam": wf.CBAM,
    "gather": partial(wf.GatherExcite, extent=2),
    "head": wf.ISqrtCov,
    "partial": partial(
        wf.ContextBlock,
        context=wf.parts.MeanContext,
        transform=partial(wf.parts.Bottleneck, ratio=1 / 8),
        fusion="multiply",
    ),
    "lambdas": partial(
        wf.ContextBlock,
        context=lambda c: wf.parts.AttentionContext(c, heads=4),
        transform=lambda c: wf.parts.Bottleneck(c, hidden=3),
        fusion="multiply_add",
    ),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_a_recipe_builds_the_same_block(make):
    block = make(64)
    data = json.loads(json.dumps(recipe(block)))
    built = build(data)
    assert repr(built) == repr(block)
    assert recipe(built) == data
    built.load_state_dict(block.state_dict())
    for copied in (copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        assert recipe(copied) == data


@pytest.mark.parametrize("name", ["nl", "gsop_channel", "concat", "head"])
def test_a_recipe_has_the_frozen_norms(name):
    block = MADE[name](64)
    wf.freeze_norms(block)
    data = json.loads(json.dumps(recipe(block)))
    assert data["frozen"]
    built = build(data)
    assert repr(built) == repr(block)
    assert recipe(built) == data
    built.load_state_dict(block.state_dict())


def test_defaults_are_written_down():
    arguments = recipe(wf.NonLocal(8, kind="dot"))["arguments"]
    assert arguments["channels"] == 8
    assert arguments["kind"] == "dot"
    assert arguments.keys() == inspect.signature(wf.NonLocal).parameters.keys()


class Mine(wf.NonLocal):
    """A subclass outside of the package."""


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Conv2d(8, 8, 1), "Conv2d is not a class of wholeframe"),
        (lambda: Mine(8), "Mine is not a class of wholeframe"),
        (lambda: wf.ContextBlock(8, context=wf.parts.MeanContext, transform=Scaled), "Scaled is not a class"),
        (
            lambda: wf.ContextBlock(8, context=wf.parts.MeanContext, transform=alternating(), fusion="multiply_add"),
            "different",
        ),
    ],
)
def test_what_no_data_describes_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        recipe(make())


class Scaled(wf.parts.LinearTransform):
    """A transform outside of the package."""


def alternating():
    made = iter([wf.parts.Bottleneck(8, hidden=2), wf.parts.Bottleneck(8, hidden=3)])
    return lambda _channels: next(made)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"block": "NonLocl", "arguments": {}}, "no block 'NonLocl'; did you mean 'NonLocal'"),
        ({"block": "NonLocal", "arguments": {"channels": 8, "knd": "dot"}}, "no argument 'knd'; did you mean 'kind'"),
        ({"block": "os.system"}, "keys 'block' and 'arguments', possibly 'frozen', and this one has"),
        ({"block": "NonLocal", "arguments": {"channels": 8}, "frozen": ["g"]}, "'g' of this NonLocal .* is a Linear"),
        ({"block": "NonLocal", "arguments": {"channels": 8}, "frozen": ["h"]}, "frozen batch norm, and it is absent"),
    ],
)
def test_data_that_is_not_a_recipe_is_refused(data, words):
    with pytest.raises(ValueError, match=words):
        build(data)


@pytest.mark.slow
@pytest.mark.compiled
def test_a_recorded_block_compiles():
    block, x = wf.GlobalContext(32).eval(), torch.randn(1, 32, 4, 4)
    torch.testing.assert_close(torch.compile(block, fullgraph=True, backend="eager")(x), block(x))
