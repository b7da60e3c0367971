"""Files of weights: what they hold, read without running code in them, and the state dict in it."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from wholeframe.messages import quoted, shown
from wholeframe.surgery.weight_files import torch_archive, torch_stream
from wholeframe.surgery.weight_files.kinds import kind_of, kind_of_folder
from wholeframe.surgery.weight_files.pickles import is_pickle, read_pickle
from wholeframe.surgery.weight_files.refused import Refused
from wholeframe.surgery.weight_files.safetensors_file import is_safetensors, read_safetensors

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
    "blobs",
)
"""Names of the weights in files of training programs, those that an evaluation takes first."""

PREFIXES = ("module.", "_orig_mod.", "model.", "network.")
"""What DataParallel, torch.compile and Lightning modules put in front of all keys."""


def read_content(path: Path) -> Any:
    """What a file holds: tensors and plain data. No code in it runs.

    Args:
        path: a file of safetensors or of `torch.save` (of any version), or a pickle of numpy arrays as Caffe2 and
            Detectron write it, told apart by content. Its tensors are in memory once.

    Returns:
        A dictionary of tensors, or what was saved, in dictionaries, lists and tuples; all tensors on the CPU.

    Raises:
        ValueError: there is no such file, it is damaged, it is of another format, it would take much more memory than
            its size, or it holds Python objects.
    """
    try:
        return _content(path)
    except Refused as refused:
        raise ValueError(f"'{shown(path)}' {refused}") from None
    except OSError as error:
        raise ValueError(f"'{shown(path)}' cannot be read: {error.strerror}") from None
    except MemoryError:
        raise ValueError(f"'{shown(path)}' takes more memory than is free; close other programs") from None


def _content(path: Path) -> Any:
    if path.is_dir():
        raise Refused(kind_of_folder(path))
    if not path.is_file():
        raise ValueError(f"there is no file '{shown(path)}'")
    with path.open("rb") as stream:
        head = stream.read(512)
    if is_safetensors(head):
        return read_safetensors(path)
    if head.startswith(torch_archive.HEAD):
        return torch_archive.read_torch_archive(path)
    if torch_stream.is_torch_stream(head):
        return torch_stream.read_torch_stream(path)
    if is_pickle(head):
        return read_pickle(path)
    raise Refused(kind_of(path, head))


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
