"""The initial state of a block, and how to return to it."""

from torch import Tensor, nn

from wholeframe.blocks.protocol import Block


def init_weight(weight: Tensor, std: float | None) -> None:
    """Fresh weights in place: N(0, std), or He initialisation for None."""
    if std is None:
        nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
    else:
        nn.init.normal_(weight, std=std)


def init_conv(layer: nn.Linear | nn.Conv1d | nn.Conv2d) -> None:
    """He initialisation over the outputs, as of all convolutions of the references; biases as torch has them."""
    layer.reset_parameters()
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def reset_blocks(model: nn.Module) -> list[str]:
    """Put every wholeframe block of `model` back to its initial state; returns their names.

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
