"""Initial weights from another run, or from a file."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from wholeframe.blocks import Affine
from wholeframe.models.inflate import Inflated, inflate
from wholeframe.train.run import Run, read_checkpoint

State = dict[str, Tensor]


def load_initial_weights(network: nn.Module, path: Path) -> Inflated:
    """Load the weights of another network with the same module names.

    Inserted blocks that the other network does not have keep their initial weights, and so does a last layer `fc` of
    another width. A batch norm there becomes the fixed map of a frozen norm here; a kernel without a temporal axis is
    repeated over time.

    Args:
        network: changed in place.
        path: a run folder, whose last weights are taken; a checkpoint of a run; or a state dict, as safetensors or as
            `torch.save` writes it.

    Returns:
        The names of the loaded tensors, and of the others.

    Raises:
        ValueError: the path holds no weights, or those of another network.
    """
    return inflate(network, frozen(network, state_of(path)))


def state_of(path: Path) -> State:
    """The state dict in a run folder or in a file. ValueError if there is none."""
    if path.is_dir():
        return _network(read_checkpoint(Run(path).last)["state_dict"])
    if not path.is_file():
        raise ValueError(f"there is neither a run folder nor a file of weights '{path}'")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Other files raise anything.
        raise ValueError(f"'{path}' holds no weights, or is damaged ({type(error).__name__})") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"'{path}' holds no state dict, which maps the names of weights to tensors")
    return _network(state)


def frozen(network: nn.Module, state: State) -> State:
    """The state, with each batch norm that is frozen in `network` folded into an affine map."""
    state = dict(state)
    for name, module in network.named_modules():
        if isinstance(module, Affine) and f"{name}.running_var" in state:
            norm = nn.BatchNorm1d(len(module.weight))
            parts = {key: state.pop(f"{name}.{key}") for key in list(norm.state_dict()) if f"{name}.{key}" in state}
            norm.load_state_dict(parts)
            affine = Affine.folded(norm)
            state |= {f"{name}.weight": affine.weight, f"{name}.bias": affine.bias}
    return state


def _network(state: State) -> State:
    """The keys without the prefix `network.` of a checkpoint."""
    return {key.removeprefix("network."): value for key, value in state.items()}
