"""What a folder of results holds: a command never writes over the results of another."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

Kind = Literal["training", "comparison", "search", "benchmark"]

_MARKS = {
    "training": ("environment.json", "samples.csv", "last.ckpt", "best.ckpt"),
    "comparison": ("results.csv", "results.md"),
    "search": ("search.csv", "search.md"),
}
"""Files that only one kind of folder has."""

_RECIPES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "training": lambda content: content.get("type") == "Recipe",
    "comparison": lambda content: {"blocks", "recipes"} <= content.keys() and "search" not in content,
    "search": lambda content: {"blocks", "recipes", "search"} <= content.keys(),
}
"""Whether a `recipe.json` is that of a kind."""


def refuse_other(folder: Path, kind: Kind) -> None:
    """ValueError if the folder is a file, or holds the results of another command or program.

    Args:
        folder: what `--out` names. It may not exist, and may hold files of other names.
        kind: the results to write.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"'{folder}' is a file, and the results are written to a folder; give another --out")
    for other, marks in _MARKS.items():
        there = [name for name in marks if (folder / name).exists()]
        if other != kind and there:
            raise ValueError(f"'{folder}' holds a {other} ({', '.join(there)}); give another --out")
    recipe = folder / "recipe.json"
    if recipe.exists() and not (kind == "training" and _is_ours(folder)):
        found = _kind_of(recipe)
        if found != kind:
            holds = f"a {found}" if found else "a recipe.json that this program did not write, or that is damaged"
            raise ValueError(f"'{folder}' holds {holds}; give another --out")


def _is_ours(folder: Path) -> bool:
    """Whether the other files show a training; its damaged recipe.json has an error of its own."""
    return any((folder / name).exists() for name in _MARKS["training"])


def _kind_of(recipe: Path) -> str | None:
    try:
        content = json.loads(recipe.read_text())
    except (ValueError, OSError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    return next((kind for kind, is_of in _RECIPES.items() if is_of(content)), None)
