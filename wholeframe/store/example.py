"""The kind of input that a network takes, and a small example of it."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wholeframe.store.header import Kind
from wholeframe.surgery.detectors import is_detector
from wholeframe.surgery.probe import Call, as_call, outputs

SMALL = 64
"""The side of an example for networks that take any size."""
KINDS: dict[int, Kind] = {3: "image", 4: "clip"}
"""axes of a sample -> what it is"""


def kind_of(network: nn.Module, size: Sequence[int] | None) -> Kind:
    """The kind of input, from the shape of one sample."""
    if is_detector(network):
        return "detector"
    return KINDS.get(len(size or ()), "other")


def small_call(network: nn.Module, size: Sequence[int] | None) -> tuple[Call, list[Tensor]]:
    """The smallest of a few examples that the network takes, and its outputs.

    Raises:
        ValueError: if it takes none.
    """
    failed: Exception | None = None
    for shape in _shapes(size):
        call = as_call(network, None if shape is None else random(network, shape))
        try:
            with eagerly():
                return call, outputs(network, call)
        except Exception as error:  # The network's own code says in any way that it does not take this size.
            failed = error
    shown = "the default image" if size is None else f"a sample of {' x '.join(map(str, size))}"
    raise ValueError(
        f"the network does not run on {shown} ({type(failed).__name__}: {failed}), so the file cannot be proved; give "
        "input=, the shape of one sample, such as (3, 224, 224) or (3, 32, 224, 224)"
    )


def eagerly() -> contextlib.AbstractContextManager[Any]:
    """Run compiled parts as Python. Without the compiler there are none, and its import takes seconds."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else contextlib.nullcontext()


def random(network: nn.Module, shape: Sequence[int]) -> Tensor:
    """A batch of one random sample on the device and in the dtype of the weights."""
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    return x.to(next((p for p in network.parameters() if p.is_floating_point()), x))


def _shapes(size: Sequence[int] | None) -> Iterator[Sequence[int] | None]:
    if size is None:
        yield None
        return
    if len(size) >= 3 and min(size[-2:]) > SMALL:
        yield (*size[:-2], SMALL, SMALL)
    yield size
