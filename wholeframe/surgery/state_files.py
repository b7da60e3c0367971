"""Files of weights: what `torch.save` and safetensors write, read without running code in them."""

import re
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wholeframe.messages import listed, quoted
from wholeframe.surgery.weight_files.pickles import is_pickle, read_pickle
from wholeframe.surgery.weight_files.refused import Refused

State = Mapping[str, Any]

NAMES = (
    "state_dict_ema",
    "model_ema",
    "ema",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "network",
    "net",
    "weights",
    "params",
)
"""Names of the weights in files of training programs, those that an evaluation takes first."""

PREFIXES = ("module.", "_orig_mod.", "model.", "network.")
"""What DataParallel, torch.compile and Lightning modules put in front of all keys."""


def read_content(path: Path) -> Any:
    """What a file holds: tensors and plain data.

    Args:
        path: a file of safetensors or of `torch.save`, told apart by content.

    Raises:
        ValueError: there is no such file, it is damaged, it is of another format, or it holds Python objects.
    """
    if not path.is_file():
        raise ValueError(f"there is no file '{path}'")
    with path.open("rb") as stream:
        head = stream.read(128)
    try:
        if path.suffix == ".safetensors" or head[8:9] == b"{":
            from safetensors.torch import load_file  # here, because most checkpoints are not of this format

            return load_file(path)
        if is_pickle(head):
            return read_pickle(path)
        _refuse_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except _Refused as refused:
        raise ValueError(str(refused)) from None
    except Refused as refused:
        raise ValueError(f"'{path}' {refused}") from None
    except Exception as error:  # Other files raise anything.
        if found := re.findall(r"GLOBAL ([\w.]+)", str(error)):
            raise ValueError(
                f"'{path}' cannot be read as tensors and plain data: it also holds Python objects "
                f"({listed(_objects(path) or found)}), and loading them runs code from the file; if you trust it, save "
                "its state dict alone: `torch.save(torch.load(path, weights_only=False)['state_dict'], NEW)`"
            ) from error
        raise ValueError(
            f"'{path}' holds no weights, or is damaged ({type(error).__name__}); give a file of safetensors or of "
            "`torch.save`"
        ) from error


class _Refused(Exception):
    """A file with a reason of its own."""


def _refuse_archive(path: Path) -> None:
    """Refuse a damaged zip archive, whose tensors torch would load without a look at their checksums."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if wrong := archive.testzip():
            raise _Refused(f"'{path}' is damaged: the checksum of {wrong!r} differs; take another copy of the file")
        if any(name.rpartition("/")[2] == "constants.pkl" for name in archive.namelist()):
            raise _Refused(
                f"'{path}' is a TorchScript program, not a file of weights; save its weights: "
                "`torch.save(torch.jit.load(path).state_dict(), NEW)`"
            )


def _objects(path: Path) -> list[str]:
    """The names of the classes in a file; an empty list for an old format, whose classes torch does not list."""
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except ValueError:
        return []


def state_dicts(content: Any) -> dict[str, State]:
    """The state dicts in the content of a file, by the names of their entries; `""` for the content itself."""
    if not isinstance(content, Mapping):
        return {}
    if is_state(content):
        return {"": content}
    inner = {str(name): value for name, value in content.items() if isinstance(value, Mapping)}
    found = {name: value for name, value in inner.items() if is_state(value)}
    if found:
        return found
    return {f"{name}.{deeper}": state for name in NAMES for deeper, state in state_dicts(inner.get(name)).items()}


def is_state(content: State) -> bool:
    """Whether a mapping is a state dict: names, at least half of them of tensors."""
    tensors = sum(isinstance(value, Tensor) for value in content.values())
    return bool(content) and all(isinstance(key, str) for key in content) and tensors >= len(content) / 2


def chosen_state(content: Any, source: str) -> tuple[str, State]:
    """The state dict that a training starts from, and how it was found, for the user.

    Args:
        content: of a file.
        source: the file, in the words of the message.

    Returns:
        A part of a sentence, empty if the content is a state dict itself; and the state dict.

    Raises:
        ValueError: there is no state dict, or there are several without a known name.
    """
    found = state_dicts(content)
    if not found:
        raise ValueError(f"{source} holds no state dict, which maps the names of weights to tensors")
    known = [entry for name in NAMES for entry in found if entry.rpartition(".")[2] == name]
    if len(found) > 1 and not known:
        raise ValueError(f"{source} holds these state dicts: {quoted(found)}; save one of them alone")
    names = known or list(found)
    first, others = names[0], [entry for entry in found if entry != names[0]]
    other = f", not {quoted(others)}" if others else ""
    return (f"its {first!r}{other}" if first else ""), found[first]


def without_prefix(state: State, own: Collection[str] | None = None) -> tuple[str, dict[str, Tensor]]:
    """A state dict without what wrappers put in front of all of its keys.

    Args:
        state: the state dict.
        own: the keys of the network; as much is taken away as makes most of them fit. None takes away all prefixes.

    Returns:
        The prefix, and the tensors without it.
    """
    # `n_averaged` counts the steps of torch's AveragedModel, and has no prefix.
    rest = {key: value for key, value in state.items() if isinstance(value, Tensor) and key != "n_averaged"}
    prefix, peeled = "", [("", rest)]
    while found := next((p for p in PREFIXES if rest and all(key.startswith(p) for key in rest)), None):
        prefix, rest = prefix + found, {key.removeprefix(found): value for key, value in rest.items()}
        peeled.append((prefix, rest))
    if own is None:
        return peeled[-1]
    return max(peeled, key=lambda pair: sum(key in pair[1] for key in own))
