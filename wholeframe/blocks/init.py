"""The initial state of a block, and how to return to it."""

from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn

from wholeframe.blocks.protocol import Block
from wholeframe.messages import one_of

Init = Literal["identity", "zero", "random"]


def check_init(init: str, changes: str | None = None) -> None:
    """Refuse an unknown `init`, and "identity" for a block that changes its input at zero, for the reason `changes`."""
    one_of("init", init, get_args(Init))
    if init == "identity" and changes is not None:
        raise ValueError(
            f"init='identity' is not possible: {changes}, init='zero' (as mmcv and GCNet) or init='random'"
        )


def init_weight(weight: Float[Tensor, "*shape"], std: float | None) -> None:
    """Initialise in place: normal with this standard deviation, or Kaiming normal (He) over the outputs for None."""
    if std is None:
        nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
    else:
        nn.init.normal_(weight, std=std)


def init_kaiming(layer: nn.Linear | nn.Conv1d | nn.Conv2d) -> None:
    """Kaiming normal weights over the outputs, as in the convolutions of all references; biases as torch has them."""
    layer.reset_parameters()
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def reset_blocks(model: nn.Module) -> list[str]:
    """Return every wholeframe block of `model` to its initial state.

    Call it after a model-wide `init_weights` or `apply` that runs after the blocks were built: such a call overwrites
    the zeros that make blocks identities. With GCNet's own model-wide initialisation the attention starts one-hot:
    "does not converge from scratch".

    Args:
        model: any module, or one block.

    Returns:
        The names of the blocks.

    Raises:
        ValueError: for a model without blocks.
        TypeError: for anything but a module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, and blocks are in a network: give an nn.Module")
    blocks = {name: m for name, m in model.named_modules() if isinstance(m, Block)}
    if not blocks:
        raise ValueError(f"{type(model).__name__} has no wholeframe block to reset; insert one first")
    for block in blocks.values():
        block.reset_parameters()
    return list(blocks)
