"""Values of options that a source does not have."""

from typing import Literal

import pytest

from wholeframe.convert.option_values import refuse_values


def plan(shapes, *, mode: Literal["a", "b"] | None = None, scale: bool = True, steps: int | None = None, other=None):
    """Options of every kind."""


@pytest.mark.parametrize("options", [{"mode": "b", "scale": False, "steps": 3}, {"mode": None, "other": [1], "new": 2}])
def test_values_that_an_option_has(options):
    refuse_values(plan, options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"mode": "c"}, "mode='c' is not one of 'a', 'b'"),
        ({"mode": ["a"]}, "is not one of 'a', 'b'"),
        ({"scale": "maybe"}, "scale='maybe' is not one of True, False"),
        ({"scale": None}, "scale=None is not one of"),
        ({"steps": "3x"}, "steps='3x' is not a whole number"),
        ({"steps": True}, "steps=True is not a whole number"),
    ],
)
def test_values_that_it_does_not_have(options, reason):
    with pytest.raises(ValueError, match=reason):
        refuse_values(plan, options)
