"""The interface of every block of this package."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Block(Protocol):
    """A module from a map `(b, c, *grid)` to a map of the same shape, with these properties and methods.

    The blocks of this package also have `remark: str | None`: what became of a default that does not fit the
    channels, in one sentence. It is not required, so that a block of a user remains a block without it.
    """

    @property
    def identity_at_init(self) -> bool:
        """Whether a fresh block returns its input."""
        ...

    @property
    def has_attention(self) -> bool:
        """Whether `attention` has a map to show; otherwise it raises ValueError."""
        ...

    def __call__(self, x: Tensor) -> Tensor: ...

    def attention(self, x: Tensor, query: Sequence[int] | Tensor) -> Tensor:
        """The weights of chosen queries (flat positions) over the grid of keys, `(b, q, *grid)`."""
        ...

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """Multiply-adds of the definition, for one sample with this grid."""
        ...

    def reset_parameters(self) -> None:
        """Return to the initial state, which a model-wide initialisation may have overwritten."""
        ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]: ...
