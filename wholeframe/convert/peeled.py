"""The tensors of a file without what training programs put around them: entries, prefixes, copies of an average."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from wholeframe.convert.whole import WholeSource, fitting
from wholeframe.surgery.state_files import NAMES, chosen_state, is_state, without_prefix


@dataclass(frozen=True)
class Peeled:
    """The tensors of a file, and its other entries.

    Args:
        state: the tensors by their names in the repository.
        apart: the other entries of the file, such as a configuration.
        left: names of entries that are not converted -> why.
        read: in words, which state dict was taken and which prefix its names have; "" for the whole file as it is.
    """

    state: Mapping[str, Tensor]
    apart: Mapping[str, object]
    left: Mapping[str, str]
    read: str


def peeled(content: Any, what: str, sources: Mapping[str, WholeSource]) -> Peeled:
    """Take the tensors out of the content of a file.

    A prefix that all names have is taken away if it is one of a known wrapper, or if no source has such names with it.

    Args:
        content: of the file.
        what: the file, in the words of the message.
        sources: that are considered.

    Raises:
        ValueError: if the content has no state dict, or several without a known name.
    """
    chosen, whole = chosen_state(content, what)
    prefix, state = without_prefix(whole)
    while not fitting(state, sources) and (common := _common_prefix(state)):
        prefix, state = prefix + common, {key.removeprefix(common): tensor for key, tensor in state.items()}
    copies = copies_of_average(state)
    others = {key: "not a tensor" for key, value in whole.items() if not isinstance(value, Tensor)}
    others |= {key: "counts the steps of an average" for key in whole if key == "n_averaged"}
    return Peeled(
        {key: tensor for key, tensor in state.items() if key not in copies},
        {} if not isinstance(content, Mapping) or is_state(content) else _apart(content),
        {**others, **copies},
        ", ".join(filter(None, [chosen, f"without the prefix {prefix!r}" if prefix else ""])),
    )


def copies_of_average(state: Mapping[str, Tensor]) -> dict[str, str]:
    """The second copy of each weight that mmcv's `EMAHook` keeps: `ema_conv1_weight` is that of `conv1.weight`.

    The hook has put the average in the place of the weights when a file is saved, so the copy has what was trained.
    """
    copies = {f"ema_{key.replace('.', '_')}": key for key in state}
    return {
        copy: f"kept by an EMAHook for '{key}', which has the average" for copy, key in copies.items() if copy in state
    }


def _common_prefix(state: Mapping[str, Tensor]) -> str:
    """The first component that all names have, with its dot; "" if there is none, or only one name."""
    first = next(iter(state), "").partition(".")[0] + "."
    return first if len(state) > 1 and all(key.startswith(first) for key in state) else ""


def _apart(content: Mapping[Any, object]) -> dict[str, object]:
    return {str(key): value for key, value in content.items() if key not in NAMES}
