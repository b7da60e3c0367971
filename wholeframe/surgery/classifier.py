"""The classifier of a network: the last layer with weights."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from torch import nn

from wholeframe.surgery.placement import in_block

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


def layers(network: nn.Module) -> dict[str, Layer]:
    """The linear layers and convolutions outside of inserted blocks, by name."""
    return {name: m for name, m in network.named_modules() if isinstance(m, Layer) and not in_block(name)}


def classifier(network: nn.Module) -> Layer:
    """The last layer with weights outside inserted blocks. ValueError if there is none."""
    found = layers(network)
    if not found:
        raise ValueError(f"this {type(network).__name__} has no linear layer or convolution to be its classifier")
    return list(found.values())[-1]


def of_another_width(network: nn.Module, shapes: Mapping[str, Sequence[int]]) -> tuple[str, ...]:
    """The names of the layers whose rows belong to classes, if other weights have another number of classes.

    k rows of such a layer belong to a class: one for logits, four for the boxes of a detector, nine for its logits at
    nine anchors. So all layers of another width differ by one ratio, and take the same channels as before. A hidden
    layer of another width also changes the channels that the layer after it takes.

    Args:
        network: the network.
        shapes: for each layer of the other weights, the shape of its weight.

    Returns:
        Their names; the last layer, if the other weights lack it; an empty tuple for other differences.
    """
    here = {name: layer.weight.shape for name, layer in layers(network).items()}
    changed = [name for name, shape in here.items() if shapes.get(name, shape)[0] != shape[0]]
    if changed:
        ratios = {Fraction(shapes[name][0], here[name][0]) for name in changed}
        taken = all(shapes[name][1] == here[name][1] for name in changed)
        return tuple(changed) if len(ratios) == 1 and taken else ()
    last = list(here)[-1:]
    return tuple(name for name in last if name not in shapes)
