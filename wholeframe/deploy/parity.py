"""How far an exported file is from the network itself, at several sizes."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from wholeframe.deploy.axes import reason_of
from wholeframe.messages import counted, listed
from wholeframe.surgery.rounding import amplified

Run = Callable[[Tensor], Sequence[Tensor]]
"""An opened file: an input -> its outputs in order."""

ROUNDINGS = 800
"""Largest error in units of eps: 1e-4 in float32. A network of 150 layers that sums in another order has about 30."""


@dataclass(frozen=True)
class Compared:
    """One input, with the largest difference of its outputs relative to the largest absolute value of each."""

    shape: tuple[int, ...]
    error: float
    found: int | None = None
    """of a detector: the objects"""

    def __str__(self) -> str:
        objects = "" if self.found is None else f", {counted(self.found, 'object')}"
        return f"{' x '.join(map(str, self.shape))}: {self.error:.1e}{objects}"


def bound(dtype: torch.dtype) -> float:
    """The largest relative error of a file that is kept, 1e-4 in float32."""
    return ROUNDINGS * torch.finfo(dtype).eps


def leaves(outputs: Any) -> list[Tensor]:
    """The tensors of an output, in order."""
    return [leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)]


def difference(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """max |actual - expected| / max |expected| over the worst output; inf where shapes or numbers of outputs differ.

    A place where both are NaN, or the same infinity, is equal.
    """
    if len(actual) != len(expected) or any(a.shape != e.shape for a, e in zip(actual, expected, strict=True)):
        return float("inf")
    return max((_relative(a, e) for a, e in zip(actual, expected, strict=True)), default=float("inf"))


def compare(network: Callable[[Tensor], Any], run: Run, inputs: Iterable[Tensor]) -> tuple[Compared, ...]:
    """Run both on every input.

    Raises:
        ValueError: if the file fails at a size, or differs by more than `bound`; the message has the errors so far.
    """
    done: list[Compared] = []
    for x in inputs:
        with torch.no_grad():
            expected = leaves(network(x))
        try:
            actual = run(x)
        except Exception as error:  # every runtime has errors of its own
            raise ValueError(_refused(tuple(x.shape), f"fails ({reason_of(error)})", done)) from error
        one = Compared(tuple(x.shape), difference(actual, expected))
        if not one.error <= bound(x.dtype):
            said = f"differs from the network by {one.error:.1e} of its largest output, above {bound(x.dtype):.0e}"
            reason = _not_of_the_file(network, x, expected, actual)
            raise ValueError(_refused(one.shape, said, done) + (f": {reason}" if reason else ""))
        done.append(one)
    return tuple(done)


def _not_of_the_file(
    network: Callable[[Tensor], Any], x: Tensor, expected: Sequence[Tensor], actual: Sequence[Tensor]
) -> str | None:
    """Why even a file without a fault differs from this network; None if it does not."""
    if not any(output.isfinite().any() for output in expected):
        return "the network returns no finite number at this size; load trained weights, or give another example"
    try:
        with torch.no_grad():
            exact = leaves(copy.deepcopy(network).double()(x.double()))  # pyright: ignore[reportFunctionMemberAccess]
    except Exception:  # any error: a network with a dtype in its code has no result in float64
        return None
    own, of_file = difference(expected, exact), difference(actual, exact)
    return amplified(own, of_file, str(x.dtype).removeprefix("torch."), "the file", "export")


def _refused(shape: tuple[int, ...], said: str, done: Sequence[Compared]) -> str:
    before = f" (it is right at {listed(map(str, done), between='; ')})" if done else ""
    return f"the exported network {said} at {' x '.join(map(str, shape))}{before}; no file is left"


def _relative(actual: Tensor, expected: Tensor) -> float:
    wide = expected.double()
    apart = (actual.double() - wide).abs()
    apart = torch.where((actual == expected) | (actual.isnan() & expected.isnan()), 0.0, apart)
    if apart.numel() == 0:
        return 0.0
    scale = wide[wide.isfinite()].abs().max().item() if wide.isfinite().any() else 0.0
    worst = apart.max().item()
    return 0.0 if worst == 0 else worst / scale if scale else float("inf")
