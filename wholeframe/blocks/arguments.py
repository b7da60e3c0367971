"""Checks of constructor arguments that several blocks share: one sentence each."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from wholeframe.messages import one_of


def integer(name: str, value: object, *, least: int = 1, default: object = None) -> None:
    """Refuse anything but an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}{_default(default)}")


def positive(name: str, value: object, *, default: object = None) -> None:
    """Refuse anything but a positive, finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive, got {_shown(value)}{_default(default)}")


def not_negative(name: str, value: object, *, default: object = None) -> None:
    """Refuse anything but a finite number from zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a number of at least 0, got {_shown(value)}{_default(default)}")


def flags(**values: object) -> None:
    """Refuse anything but True and False: a text such as "no" would count as true."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, got {_shown(value)}")


def momentum(value: object) -> None:
    """Refuse a momentum of a batch norm that would not move its statistics towards those of a batch."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1):
        raise ValueError(
            f"momentum must be a number from 0 to 1, or None for the mean over all batches, got {_shown(value)} "
            "(the default is 0.1)"
        )


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


def similarity_scale(scale: object) -> None:
    """Refuse a scale of the logits that makes all weights alike or undefined."""
    if isinstance(scale, str):
        one_of("scale", scale, ("sqrt_dim", None))
    elif scale is not None and (
        isinstance(scale, bool) or not isinstance(scale, int | float) or not math.isfinite(scale) or scale == 0
    ):
        raise ValueError(
            f"scale must be a finite number other than 0, got {_shown(scale)}; "
            "leave it out for 1, or take scale='sqrt_dim'"
        )


def windows(pool: object) -> None:
    """Refuse a pooling window that is neither an integer from 1 nor a sequence of them."""
    sizes = pool if isinstance(pool, Sequence) and not isinstance(pool, str) else (pool,)
    if not sizes or any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes):
        raise ValueError(
            f"pool must be an integer of at least 1, or one for every axis, got {_shown(pool)}; pool=1 disables pooling"
        )


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
