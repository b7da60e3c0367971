"""A run folder in any state of damage resumes exactly, or is refused in one sentence."""

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(("first", "last"), [(0, 3), (3, 30)])
def test_damage(tried, first, last):
    told = f"{last - first} damaged runs are exact, or refused in a sentence"
    assert tried("damage", "--seeds", first, last) == told
