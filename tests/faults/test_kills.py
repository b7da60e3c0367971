"""A training that is killed at random moments and resumed ends as one that was left alone, to the bit."""

import pytest


@pytest.mark.slow
def test_kills(tried):
    assert tried("kills", "--kills", 12, "--seed", 1) == "none stuck, none unequal"


@pytest.mark.slow
def test_kills_of_a_detector(tried):
    pytest.importorskip("faster_coco_eval")
    assert tried("kills", "--kills", 4, "--seed", 2, "--training", "detector") == "none stuck, none unequal"
