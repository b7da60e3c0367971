"""What a report says of many things: their number, the first few, and how many more."""

from collections.abc import Iterable


def listed(names: Iterable[str], most: int = 5) -> str:
    """`a, b, c`; of a long list its beginning, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"
