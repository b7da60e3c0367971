"""The whole of kernel dispatch: one ordered table per op, one function that picks from it.

Choosing is arithmetic on shapes, never on values, so that it traces. `dense` is the definition and is last in
every table. A named backend that cannot run says why; only `auto` may pick another.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch


class Sizes(NamedTuple):
    """What a pairwise op's cost depends on, per sample."""

    q: int
    k: int
    d: int
    v: int


def plain(*_sizes_and_inputs: object) -> float:
    """The `slowness` of matrix products."""
    return 1.0


class Impl(NamedTuple):
    """One way to compute an op: the function, why it cannot run (or None), its multiply-adds per sample.

    `slowness` is the time of one of its multiply-adds in those of a plain matrix product, as far as sizes tell,
    and what the inputs are: their device, their precision, whether they want gradients.
    """

    run: Callable[..., Any]
    refuse: Callable[..., str | None]
    macs: Callable[[Any], int]
    slowness: Callable[..., float] = plain


def never(*_args: object) -> None:
    """The `refuse` of an implementation that always runs."""


def choose(table: Mapping[str, Impl], backend: str, sizes: tuple[int | torch.SymInt, ...], *inputs: Any) -> Impl:
    """The implementation called `backend`; for `"auto"`, the fastest that does not refuse, the first among equals."""
    if backend != "auto":
        if backend not in table:
            raise ValueError(f"backend={backend!r} is not one of {', '.join(['auto', *table])}")
        if reason := table[backend].refuse(*inputs):
            raise ValueError(f"backend={backend!r} cannot run here: {reason}")
        return table[backend]
    able = [impl for impl in table.values() if not impl.refuse(*inputs)]
    # While exporting, sizes may be symbols, and comparing them would freeze the exported graph to one side of
    # the crossover: the first of the table is the one whose memory is linear.
    if torch.compiler.is_exporting():
        return able[0]
    return min(able, key=lambda impl: impl.slowness(sizes, *inputs) * impl.macs(sizes))
