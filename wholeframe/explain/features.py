"""The features of a network: the input of its classifier."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from wholeframe.surgery.placement import in_block

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


def classifier(network: nn.Module) -> Layer:
    """The last layer with weights outside inserted blocks. ValueError if there is none."""
    layers = [m for name, m in network.named_modules() if isinstance(m, Layer) and not in_block(name)]
    if not layers:
        raise ValueError(f"this {type(network).__name__} has no linear layer or convolution to be its classifier")
    return layers[-1]


@contextmanager
def features(network: nn.Module) -> Iterator[list[Tensor]]:
    """Within this context, collect the classifier's input of every forward pass, averaged over positions: `(b, d)`.

        with features(network) as seen:
            network(images)
        seen[0]

    The feature axis is the last one of a linear layer's input, and the second one of a convolution's.
    """
    layer = classifier(network)
    seen: list[Tensor] = []

    def keep(_layer: nn.Module, args: tuple[Tensor, ...]) -> None:
        x = args[0].detach()
        rows = x.movedim(-1, 1) if isinstance(layer, nn.Linear) else x
        seen.append(rows.flatten(2).mean(dim=2) if rows.ndim > 2 else rows)

    handle = layer.register_forward_pre_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()
