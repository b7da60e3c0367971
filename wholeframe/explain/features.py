"""The features of a network: the input of its classifier."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from wholeframe.surgery.classifier import classifier


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
