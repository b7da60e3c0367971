"""Dispatch among several exact ways to compute one op: a table of ways, a name, and no silent fallback.

`dense` is the definition and the last entry of every table. A named backend that cannot run raises an error that says
why; only `backend="auto"` may pick another one, by rules that its op states.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.compiler import is_compiling

is_tracing = torch._C._is_tracing  # pyright: ignore[reportAttributeAccessIssue]
"""`torch.jit.is_tracing` without its two further calls. torch.compile cannot evaluate it before 2.15: ask
`is_compiling` first."""


class Backend(NamedTuple):
    """One way to compute an op.

    `refuse` takes the arguments that the op passes on and returns the reason why this way cannot run, or None.
    `multiply_adds` takes the op's size and counts one sample.
    """

    run: Callable[..., Any]
    refuse: Callable[..., str | None]
    multiply_adds: Callable[[Any], int]


def never(*_arguments: object) -> None:
    """The `refuse` of a way that always runs."""


def named(table: Mapping[str, Backend], name: str, *arguments: Any) -> Backend:
    """The way of that name.

    Raises:
        ValueError: for a name that is not in the table, or a way that refuses `arguments`.
    """
    if name not in table:
        raise ValueError(f"backend={name!r} is not one of {', '.join(['auto', *table])}")
    if reason := table[name].refuse(*arguments):
        raise ValueError(f"backend={name!r} cannot run here: {reason}")
    return table[name]


def in_graph() -> bool:
    """Whether a compiler, an exporter or a tracer records this call.

    Sizes may be symbols then, and comparing them would tie the graph to one side of a crossover.
    """
    return is_compiling() or is_tracing()  # an exporter compiles


def full_precision(x: Tensor) -> bool:
    """Whether products with x run in float32 or float64."""
    return x.dtype.itemsize >= 4 and (x.device.type == "meta" or not torch.is_autocast_enabled(x.device.type))
