"""Parts of messages to users: errors of one form, shortened lists, and names from outside as printable text."""

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


def shown(name: object, most: int = 120) -> str:
    """A name from outside (of a file, a class) as printable text of one line and of limited length.

    Control characters, line breaks and bytes that are not UTF-8 become escapes: a terminal would obey the first, and
    could not encode the last.
    """
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))
    return text if len(text) <= most else f"{text[: most // 2]}…{text[len(text) - most // 2 + 1 :]}"


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"


def shown(name: object, most: int | None = None) -> str:
    """A name of a file, a folder or a class as one line of printable text, for tables, figures and messages.

    Line breaks, control characters, marks that change the direction of text, and bytes that are not UTF-8 are written
    as in a Python string: `\\n`, `\\x1b`, `\\u202e`, `\\xff`. All other characters stay as they are; the caller prints
    the result where nothing is read as markup.

    Args:
        name: the name; a path as well.
        most: the largest number of characters; the middle of a longer name becomes an ellipsis. None keeps them all.
    """
    text = "".join(letter if letter.isprintable() else _escaped(letter) for letter in str(name))
    if most is None or len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def storable(name: object) -> str:
    """A name as text that every UTF-8 file can hold: only bytes that are not UTF-8 are escaped, as in `\\xff`."""
    return "".join(_escaped(letter) if "\ud800" <= letter <= "\udfff" else letter for letter in str(name))


def _escaped(letter: str) -> str:
    byte = ord(letter) - 0xDC00  # A byte that is not UTF-8 is the letter U+DC00 + byte in a name of the file system.
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else letter.encode("unicode_escape").decode()
