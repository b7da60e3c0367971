"""Parts of messages: lists that say when they are cut, and names from outside as printable text."""

import pytest
from names import NAMES

from wholeframe.messages import in_quotes, listed, nearest, shown
from wholeframe.recipes import RECIPES


def test_a_list_says_how_many_more_there_are():
    assert listed("abcde") == "a, b, c, d, e" and listed("abcdefg") == "a, b, c, d, e and 2 more"
    assert listed("abc", most=2, between="; ") == "a; b and 1 more"


def test_every_recipe_exists_for_a_reader():
    assert nearest("zzz", RECIPES) == f"there are {', '.join(RECIPES)}" and len(RECIPES) > 12
    assert nearest("zzz", map(str, range(128))).endswith(" and 98 more")


@pytest.mark.parametrize("name", NAMES)
def test_names_are_printable_and_of_limited_length(name):
    assert shown(name).isprintable() and shown(name).encode() and len(shown(name)) <= 200
    assert shown("plain [bold] 日本語.jpg") == "plain [bold] 日本語.jpg"
    assert in_quotes([name]) == [f"'{shown(name)}'"]


def test_the_ends_of_a_long_name_are_shown():
    assert shown("begin" + "x" * 300 + "end.png", 20) == "beginxxxxx…xxend.png"
