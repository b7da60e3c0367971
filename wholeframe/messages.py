"""Sentences for a person: options that are refused in one way everywhere, and lists that say when they are cut."""

import difflib
from collections.abc import Iterable, Sequence


def one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    """Refuse an option that is not among those allowed, and name the nearest one."""
    if value not in allowed:
        near = difflib.get_close_matches(str(value), [a for a in allowed if isinstance(a, str)], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}{hint}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Half a sentence that names the nearest of the known names, or the first of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3)
    return f"the nearest are {', '.join(near)}" if near else f"there are {listed(names, most=12)}"


def quoted(names: Iterable[object]) -> str:
    """All the names, in quotes."""
    return ", ".join(map(repr, names))


def listed(names: Iterable[str], most: int = 5) -> str:
    """The first few of the names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"
