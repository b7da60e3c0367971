"""What every block of this package promises."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Block(Protocol):
    """What every block of this package promises, besides a map of the same shape."""

    @property
    def identity_at_init(self) -> bool: ...
    @property
    def has_attention(self) -> bool: ...
    def attention(self, x: Tensor, query: Sequence[int] | Tensor) -> Tensor: ...
    def multiply_adds(self, grid: Sequence[int]) -> int: ...
    def reset_parameters(self) -> None: ...
