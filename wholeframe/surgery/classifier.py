"""The classifier of a network: the last layer with weights."""

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


def of_another_width(network: nn.Module, rows: dict[str, int]) -> tuple[str, ...]:
    """The names of the layers that give the logits of another number of classes in other weights.

    A hidden layer of another width also changes the input of the layer after it. So all layers whose widths differ from
    one number there to one number here are classifiers, such as the two heads of a distilled transformer.

    Args:
        network: the network.
        rows: for each layer of the other weights, its width.

    Returns:
        Their names; the last layer, if the other weights lack it; an empty tuple for other differences.
    """
    here = {name: layer.weight.shape[0] for name, layer in layers(network).items()}
    changed = {name: (width, rows[name]) for name, width in here.items() if rows.get(name, width) != width}
    if changed:
        return tuple(changed) if len(set(changed.values())) == 1 else ()
    last = list(here)[-1:]
    return tuple(name for name in last if name not in rows)
