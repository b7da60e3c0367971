"""Sentences for a person: options that are refused in one way everywhere, and lists that say when they are cut."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Sequence


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


def keywords_of(function: Callable[..., object]) -> list[str]:
    """The names of all arguments that a callable takes by keyword."""
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def refuse_unknown(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a keyword that `what` does not take; name the nearest keyword, and all that it takes."""
    names = list(known)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{what} has no argument {name!r}{hint} (it takes {', '.join(names)})")
