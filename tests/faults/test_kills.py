"""A training that is killed at random moments and resumed ends as one that was left alone, to the bit."""

import pytest


@pytest.mark.parametrize(("kills", "seed"), [(1, 0), pytest.param(20, 1, marks=pytest.mark.slow)])
def test_kills(tried, kills, seed):
    assert tried("kills", "--kills", kills, "--seed", seed) == "none stuck, none unequal"
