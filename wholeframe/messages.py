"""Parts of messages to users: errors of one form, and shortened lists with the number of names left out."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Sequence

READABLE = 30
"""Names that a reader can still go through; a longer list (of networks) has a command that prints it."""


def one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    """Raise ValueError for an option that is not allowed, and name the nearest one that is."""
    if value not in allowed:
        hint = did_you_mean(str(value), [a for a in allowed if isinstance(a, str)])
        raise ValueError(f"{name}={value!r} is not one of {quoted(allowed)}{hint}")


def refuse_unknown(what: str, function: Callable[..., object], options: Iterable[str]) -> None:
    """Raise ValueError for keyword arguments that `function` does not take, and name the nearest that it takes.

    A function that takes `**options` has to check them where it passes them on.
    """
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in options:
        if name not in parameters:
            hint = did_you_mean(name, parameters) or f"; there are {quoted(parameters)}"
            raise ValueError(f"{what} has no argument {name!r}{hint}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that names the nearest of the known names, in any case of letters; "" if none is near."""
    names = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), names, n=1)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


def nearest(name: str, known: Iterable[str]) -> str:
    """Half a sentence that names the nearest of the known names, or the first of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3)
    return f"the nearest are {', '.join(near)}" if near else f"there are {listed(names, most=READABLE)}"


def quoted(names: Iterable[object]) -> str:
    """All the names, in quotes."""
    return ", ".join(map(repr, names))


def listed(names: Iterable[str], most: int = 5, between: str = ", ") -> str:
    """The first few of the names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return between.join(names[:most]) + more


def shown(name: object, most: int = 200) -> str:
    """A name from outside (of a file, a class) as printable text of one line and of limited length.

    Control characters, line breaks and bytes that are not UTF-8 become escapes: a terminal would obey the first, and
    could not encode the last.
    """
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))
    return text if len(text) <= most else f"{text[: most // 2]}…{text[len(text) - most // 2 + 1 :]}"


def in_quotes(names: Iterable[object]) -> list[str]:
    """Each name from outside in quotes, as it is `shown`."""
    return [f"'{shown(name)}'" for name in names]


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"
