"""A training that is killed at random moments and resumed ends as one that was left alone, to the bit."""

import pytest
from faults.kills import kill


@pytest.mark.parametrize("seed", [0])
def test_a_few_kills(tmp_path, seed):
    assert kill(tmp_path, 3, seed) == []


@pytest.mark.slow
def test_twenty_kills(tmp_path):
    assert kill(tmp_path, 20, 1) == []
