"""The state dict that is converted, out of all that a file holds: of a network, and of its copies the average."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wholeframe.messages import in_quotes, listed, shown
from wholeframe.surgery.state_files import NAMES, State, chosen_state, is_state

AVERAGES = ("ema", "averaged", "swa")
"""words in the names of entries that hold a moving average"""

DEPTH = 4
"""dictionaries and lists in each other, as far as entries are looked for"""


def chosen_entry(content: Any, what: str, is_network: Callable[[State], bool]) -> tuple[str, State]:
    """The state dict of a network that a source has, moving averages first, and how it was found, for the user.

    Args:
        content: of a file.
        what: the file, in the words of the message.
        is_network: whether a state dict has a network of a source.

    Returns:
        A part of a sentence, empty if the content is a state dict itself; and the state dict. Where no state dict is of
        a source, the one that a training would start from.

    Raises:
        ValueError: there is no state dict, or there are several networks without a known name.
    """
    found = {path: state for path, state in entries(content) if is_network(state)}
    if not found:
        return chosen_state(content, what)
    best = sorted([path for path in found if is_average(path)] or found, key=_rank)
    if len(best) > 1 and _rank(best[0]) == _rank(best[1]):
        raise ValueError(f"{what} holds the networks {listed(in_quotes(best))}; save one of them alone")
    first, others = best[0], [path for path in found if path != best[0]]
    other = f", not {listed(in_quotes(others))}" if others else ""
    return (f"its '{shown(first)}'{other}" if first else ""), found[first]


def _rank(path: str) -> int:
    """The place of an entry among the names that training programs use; the last for another name."""
    name = path.rpartition(".")[2]
    return NAMES.index(name) if name in NAMES else len(NAMES)


def entries(content: Any, path: str = "", depth: int = DEPTH) -> Iterator[tuple[str, State]]:
    """All state dicts in a content, by the names that lead to them, such as `ema.module` or `0`."""
    if isinstance(content, Mapping) and is_state(content):
        yield path, content
    elif depth and isinstance(content, Mapping | list | tuple):
        inner = content.items() if isinstance(content, Mapping) else enumerate(content)
        for name, value in inner:
            if isinstance(value, Mapping | list | tuple):
                yield from entries(value, f"{path}.{name}" if path else str(name), depth - 1)


def is_average(path: str) -> bool:
    """Whether a name that leads to an entry says that it is a moving average."""
    return any(word in AVERAGES for word in re.split(r"[^a-z]+", path.lower()))
