"""Checks of constructor arguments."""

import pytest

from wholeframe.blocks import BLOCKS, Block


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
