"""Configurations as Python text are read and never run."""

import pytest

from wholeframe.convert.networks.python_text import literals


def test_literals_are_read_and_the_rest_is_left_out():
    text = "a = 3\nb = dict(c=[1, (2, -1.5)], d=open('x'), e={'f': True})\ng = a + 1\nimport os\nos.x = 2\n"
    assert literals(text) == {"a": 3, "b": {"c": [1, (2, -1.5)], "e": {"f": True}}}


@pytest.mark.parametrize("text", ["a = (", "\0", "a = " + "(" * 500 + ")" * 500, ""])
def test_other_text_gives_nothing(text):
    assert literals(text) == {}
