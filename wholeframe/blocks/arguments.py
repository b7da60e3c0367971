"""Checks of constructor arguments that several blocks share: one sentence each."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor


def integer(name: str, value: object, *, least: int = 1, default: object = None) -> None:
    """Refuse anything but an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}{_default(default)}")


def positive(name: str, value: object, *, default: object = None) -> None:
    """Refuse anything but a positive number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"{name} must be positive, got {_shown(value)}{_default(default)}")


def not_negative(name: str, value: object, *, default: object = None) -> None:
    """Refuse anything but a number from zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError(f"{name} must be a number of at least 0, got {_shown(value)}{_default(default)}")


def odd(name: str, value: object, *, default: object) -> None:
    """Refuse the width of a window that has no middle."""
    integer(name, value, default=default)
    assert isinstance(value, int)
    if value % 2 == 0:
        raise ValueError(f"{name} must be odd, got {value}{_default(default)}")


def divides(name: str, value: int, of: str, width: int) -> None:
    """Refuse a number that does not divide a width, and name the divisors next to it."""
    integer(name, value)
    if width % value == 0:
        return
    divisors = [d for d in range(1, width + 1) if width % d == 0]
    near = [str(d) for d in [d for d in divisors if d < value][-1:] + [d for d in divisors if d > value][:1]]
    found = f"divisors near {value} are" if len(near) > 1 else f"the divisor nearest to {value} is"
    raise ValueError(f"{name}={value} does not divide {of}={width}; {found} {' and '.join(near)}")


def part(name: str, value: object, example: str) -> None:
    """Refuse a part of a `ContextBlock` that cannot be called with the channels."""
    if not callable(value):
        raise ValueError(f"{name} must be a class or function of the channels, got {value!r}; write {name}={example}")


def flat_positions(query: Sequence[int] | Int[Tensor, "q"], device: torch.device) -> Int[Tensor, "q"]:
    """The queries as a tensor of flat positions; one number alone is refused, since it would index another axis."""
    index = torch.as_tensor(query, device=device)
    if index.ndim != 1:
        raise ValueError(
            f"query must be a list of flat positions, got {query!r}; "
            "write [position], and wholeframe.ops.flat_index((y, x), grid) for the position of a point"
        )
    return index


def _default(default: object) -> str:
    if default is None:
        return ""
    return f" (the default is {default if isinstance(default, str) else _shown(default)})"


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)
