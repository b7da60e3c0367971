"""A data set of labelled objects in any state of damage is read whole, says what is missing, or is refused."""

import pytest
from faults.damaged_objects import faults


@pytest.mark.slow
@pytest.mark.parametrize(("first", "last"), [(0, 40), pytest.param(40, 200, marks=pytest.mark.slow)])
def test_damaged_objects(first, last):
    pytest.importorskip("faster_coco_eval", reason="masks need faster-coco-eval")
    assert not faults(first, last)
