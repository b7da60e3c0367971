"""Experiments by name: one file per data set, one function per experiment."""

from collections.abc import Callable

from wholeframe.recipes import clips, digits, folder
from wholeframe.train.recipe import Recipe

RECIPES: dict[str, Callable[[], Recipe]] = {
    "digits": digits.small_nl,
    "small_nl": folder.small_nl,
    "r18_gc": folder.r18_gc,
    "r50_nl": folder.r50_nl,
    "clips": clips.small,
}
