"""The grid of a comparison: its order, what is trained once, and baselines."""

import pytest

from wholeframe.models.build import ModelConfig
from wholeframe.train.arms import Arm, baselines, grid

BARE = ModelConfig(block=None)
NONE, NL, GC = Arm("gist", "none", BARE), Arm("gist", "nl", ModelConfig()), Arm("recall", "gc", ModelConfig(block="gc"))


def test_every_arm_under_every_seed():
    keys = [training.key for training in grid([NONE, GC, NL], 2)]
    assert keys == [
        ("gist", "none", 0),
        ("gist", "nl", 0),
        ("gist", "none", 1),
        ("gist", "nl", 1),
        ("recall", "gc", 0),
        ("recall", "gc", 1),
    ]


def test_an_arm_of_two_tables_is_trained_once():
    assert len(grid([NONE, NL, Arm("gist", "none", BARE)], 1)) == 2


def test_one_name_for_two_networks_is_refused():
    with pytest.raises(ValueError, match="two networks on 'gist' have the name 'nl'; give each another name"):
        grid([NL, Arm("gist", "nl", ModelConfig(at=("stage2",)))], 1)


def test_the_baseline_is_the_first_bare_arm_of_a_task():
    assert baselines([NL, NONE, Arm("gist", "i3d", BARE), GC]) == {"gist": "none"}
