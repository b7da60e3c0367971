"""Values of options that a source does not have."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import pytest

from wholeframe.convert.option_values import refuse_values


def plan(
    shapes,
    *,
    mode: Literal["a", "b"] | None = None,
    scale: bool = True,
    steps: int | None = None,
    name: str | None = None,
    arguments: Mapping[str, object] = MappingProxyType({}),
    pool: Sequence[int] | Sequence[Sequence[int]] = (1, 2, 2),
    groups: int | Sequence[int] = 1,
    other=None,
):
    """Options of every kind."""


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "b", "scale": False, "steps": 3},
        {"mode": None, "other": [1], "new": 2},
        {"name": "resnet50", "arguments": {"a": 1}, "pool": [1, 2, 2], "groups": 2},
        {"name": None, "pool": [[1, 2, 2], (1, 1, 1)], "groups": (1, 2)},
    ],
)
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
        ({"name": 5}, "name=5 is not text"),
        ({"arguments": "x"}, "arguments='x' is not a dictionary, such as {'output_stride': 8}"),
        ({"pool": "122"}, r"pool='122' is not a list of whole numbers, such as \[1, 2, 2\]"),
        ({"pool": [1, "2"]}, "is not a list of whole numbers"),
        ({"pool": 2}, "pool=2 is not a list"),
        ({"groups": 1.5}, "groups=1.5 is not a whole number or a list of whole numbers"),
    ],
)
def test_values_that_it_does_not_have(options, reason):
    with pytest.raises(ValueError, match=reason):
        refuse_values(plan, options)
