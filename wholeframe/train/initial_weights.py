"""Initial weights from another run, or from a file."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from wholeframe.blocks import Affine
from wholeframe.models.inflate import Inflated, inflate
from wholeframe.store.read import is_network_file, read
from wholeframe.surgery.state_files import chosen_state, read_content, without_prefix
from wholeframe.train.checkpoints import read_checkpoint
from wholeframe.train.finite import refuse_not_finite
from wholeframe.train.run import Run

State = dict[str, Tensor]


def load_initial_weights(network: nn.Module, path: Path) -> Inflated:
    """Load the weights of another network with the same module names.

    Inserted blocks that the other network does not have keep their initial weights, and so do the layers of another
    number of classes, whatever their names: the logits of a classifier; logits, boxes and masks of a detector. A batch
    norm there becomes the fixed map of a frozen norm here; a kernel without a temporal axis is repeated over time; keys
    of earlier versions of a layer, such as those of torchvision's published detectors, get their present names.

    Args:
        network: changed in place.
        path: a run folder, whose last weights are taken; a checkpoint of a run; or a state dict, alone or with other
            things, as safetensors or as `torch.save` writes it. `module.`, `_orig_mod.`, `model.` and `network.` in
            front of all keys are left out where the network does not have them.

    Returns:
        The names of the loaded tensors, and of the others; which state dict was taken.

    Raises:
        ValueError: the path holds no weights, weights that are not finite, or those of another network; or it holds
            Python objects.
    """
    taken, state = _state(path, network)
    return replace(inflate(network, frozen(network, named_today(network, state))), source=taken)


def state_of(path: Path) -> State:
    """The state dict in a run folder or in a file, without what wrappers put in front of all keys.

    Raises:
        ValueError: there is none.
    """
    return _state(path)[1]


def _state(path: Path, network: nn.Module | None = None) -> tuple[str, State]:
    """How the state dict of a path was found, and the state dict with the keys of the network."""
    if path.is_dir():
        path = Run(path).last
        content: Any = {"state_dict": read_checkpoint(path)["state_dict"]}
    elif not path.is_file():
        raise ValueError(f"there is neither a run folder nor a file of weights '{path}'")
    else:
        content = read(path)[1] if is_network_file(path) else read_content(path)
    taken, found = chosen_state(content, f"'{path}'")
    prefix, state = without_prefix(found, None if network is None else network.state_dict().keys())
    refuse_not_finite({"state_dict": state}, f"'{path}'")
    said = [taken] if taken and taken != "its 'state_dict'" else []
    said += [f"keys without {prefix!r}"] if prefix not in ("", "network.") else []
    return ", ".join(said), state


def named_today(network: nn.Module, state: State) -> State:
    """The state with the present keys of the network's layers.

    A layer that has changed since its weights were published renames their keys while it loads them. A copy of it does
    so here, because what is missing and what is unknown shows only in the present names.
    """
    state = dict(state)
    for name, module in network.named_modules():
        prefix = f"{name}." if name else ""
        renames = type(module)._load_from_state_dict is not nn.Module._load_from_state_dict
        if renames and any(key.startswith(prefix) for key in state):
            copy.deepcopy(module)._load_from_state_dict(state, prefix, {}, False, [], [], [])
    return state


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
