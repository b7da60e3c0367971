"""Options that are names: refused in one way everywhere."""

import difflib
from collections.abc import Iterable, Sequence


def one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    """Refuse an option that is none of those allowed, naming the nearest one."""
    if value not in allowed:
        near = difflib.get_close_matches(str(value), [a for a in allowed if isinstance(a, str)], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name}={value!r} is none of {', '.join(map(repr, allowed))}{hint}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Half a sentence that names the nearest of the known names, or the first of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3)
    return f"the nearest are {', '.join(near)}" if near else f"there are {', '.join(names[:12])}"
