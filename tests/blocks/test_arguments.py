"""Checks of constructor arguments."""

import math

import pytest
import torch

from wholeframe.blocks import (
    BAT,
    BLOCKS,
    CBAM,
    CGNL,
    AttentionContext,
    Block,
    GatherExcite,
    GSoP,
    ISqrtCov,
    LinearTransform,
    MeanContext,
    NonLocal,
    RowConv,
    SqueezeExcite,
    StdContext,
)


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("gc", "ratoi", "GlobalContext has no argument 'ratoi'; did you mean 'ratio'"),
        ("cgnl_rbf", "gama", "CGNL has no argument 'gama'; did you mean 'gamma'"),
        ("nl_dot", "sclae", "NonLocal has no argument 'sclae'; did you mean 'scale'"),
    ],
)
def test_an_unknown_option_of_a_block_by_name_is_refused_with_the_nearest(name, option, message):
    with pytest.raises(ValueError, match=message):
        BLOCKS[name].make(64, **{option: 1})


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_by_name_have_the_protocol(name):
    assert isinstance(BLOCKS[name].make(64), Block)


EVERY = {name: entry.make for name, entry in BLOCKS.items()} | {
    "bat": BAT,
    "cbam": CBAM,
    "gather_excite": lambda c: GatherExcite(c, extent=2),
    "isqrt": ISqrtCov,
    "context": AttentionContext,
    "mean": MeanContext,
    "std": StdContext,
    "row_conv": RowConv,
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("channels", [0, -4, 2.5, True, "64", None, math.nan])
@pytest.mark.parametrize("name", EVERY)
def test_channels_are_a_positive_integer(name, channels):
    with pytest.raises(ValueError, match="channels must be an integer of at least 1, got"):
        EVERY[name](channels)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (NonLocal, {"scale": math.nan}, "scale must be a finite number other than 0, got nan"),
        (NonLocal, {"scale": math.inf}, "scale must be a finite number other than 0, got inf"),
        (NonLocal, {"scale": 0}, "scale must be a finite number other than 0, got 0; leave it out"),
        (NonLocal, {"scale": True}, "scale must be a finite number other than 0, got True"),
        (AttentionContext, {"scale": 0.0}, "scale must be a finite number other than 0, got 0"),
        (AttentionContext, {"scale": "dim"}, "scale='dim' is not one of"),
        (NonLocal, {"pool": 0}, "pool must be an integer of at least 1, or one for every axis, got 0; pool=1 disables"),
        (NonLocal, {"pool": -2}, "pool must be an integer of at least 1, or one for every axis, got -2"),
        (NonLocal, {"pool": math.nan}, "pool must be an integer of at least 1, or one for every axis, got nan"),
        (NonLocal, {"pool": (2, 0)}, r"pool must be an integer .* got \(2, 0\)"),
        (NonLocal, {"pool": ()}, r"pool must be an integer .* got \(\)"),
        (NonLocal, {"pool": "2"}, "pool must be an integer .* got '2'"),
        (NonLocal, {"inner": 0}, r"inner must be an integer of at least 1, got 0 \(the default is 32\)"),
        (NonLocal, {"inner": 8.0}, "inner must be an integer of at least 1, got 8"),
        (NonLocal, {"eps": -1}, "eps must be positive, got -1"),
        (NonLocal, {"eps": math.inf}, "eps must be positive, got inf"),
        (NonLocal, {"std": math.nan}, "std must be a number of at least 0, got nan"),
        (NonLocal, {"momentum": math.nan}, "momentum must be a number from 0 to 1, or None .*, got nan"),
        (NonLocal, {"momentum": -1}, "momentum must be a number from 0 to 1, or None .*, got -1"),
        (CGNL, {"momentum": 10}, "momentum must be a number from 0 to 1, or None .*, got 10"),
        (NonLocal, {"bias": "no"}, "bias must be True or False, got 'no'"),
        (NonLocal, {"out_bias": 0}, "out_bias must be True or False, got 0"),
        (NonLocal, {"concatenation_bias": None}, "concatenation_bias must be True or False, got None"),
        (NonLocal, {"concatenation_bias": True}, "does not apply to kind='embedded_gaussian', which has no w_f"),
        (CGNL, {"learn_gamma": 1.0}, "learn_gamma must be True or False, got 1"),
        (SqueezeExcite, {"bias": "False"}, "bias must be True or False, got 'False'"),
        (CBAM, {"bias": None}, "bias must be True or False, got None"),
        (AttentionContext, {"bias": 1}, "bias must be True or False, got 1"),
        (LinearTransform, {"bias": ()}, r"bias must be True or False, got \(\)"),
        (GSoP, {"groups": 2}, "groups=2 does not apply to fusion='sum', which has no convolutions"),
        (GSoP, {"fusion": "max", "kernel": 3}, "kernel=3 does not apply to fusion='max'"),
        (NonLocal, {"frame_groups": 2.0}, "frame_groups must be an integer of at least 1, got 2"),
        (BAT, {"dropout": 2}, "dropout is the fraction of dropped channels, at most 1, got 2"),
        (ISqrtCov, {"inner": 0}, "inner must be an integer of at least 1, got 0"),
    ],
)
def test_a_number_that_cannot_be_is_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(64, **options)


def test_a_scale_of_any_sign_is_taken():
    assert NonLocal(8, scale=-0.5)(torch.zeros(1, 8, 3)).shape == (1, 8, 3)
