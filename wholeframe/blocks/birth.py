"""The state a block is born in, and how to get back to it."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Block(Protocol):
    """What every block of this package promises, besides a map of the same shape."""

    @property
    def identity_at_birth(self) -> bool: ...
    @property
    def attends(self) -> bool: ...
    def attention(self, x: Tensor, query: Sequence[int] | Tensor) -> Tensor: ...
    def multiply_adds(self, grid: Sequence[int]) -> int: ...
    def reset_parameters(self) -> None: ...


def draw(weight: Tensor, std: float | None) -> None:
    """Fresh weights in place: N(0, std), or He initialisation for None."""
    if std is None:
        nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
    else:
        nn.init.normal_(weight, std=std)


def reset_blocks(model: nn.Module) -> list[str]:
    """Put every wholeframe block of `model` back to its birth state; returns their names.

    A model-wide `init_weights` or `apply` that runs after the blocks were built overwrites the zeros that make
    them identities, and with GCNet's own model-wide initialisation the attention starts one-hot: "does not
    converge from scratch". Call this after it.

    Raises:
        ValueError: where the model has no block to reset.
    """
    blocks = {name: m for name, m in model.named_modules() if isinstance(m, Block)}
    if not blocks:
        raise ValueError(f"{type(model).__name__} has no wholeframe block to reset; insert one first")
    for block in blocks.values():
        block.reset_parameters()
    return list(blocks)
