"""The tensors of a file without what training programs put around them: entries, prefixes, copies of an average."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from wholeframe.convert.whole import WholeSource, fitting
from wholeframe.surgery.state_files import NAMES, chosen_state, is_state, without_prefix

WRAPPERS = ("ema_model", "model_ema", "ema", "averaged_model", "module", "_orig_mod", "model", "network", "net")
"""attributes under which training programs keep a network next to losses and metrics; moving averages first"""


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
    If a part of the names has the prefix of a wrapper and is a network of a source, the others are left.

    Args:
        content: of the file.
        what: the file, in the words of the message.
        sources: that are considered.

    Raises:
        ValueError: if the content has no state dict, or several without a known name.
    """
    chosen, whole = chosen_state(content, what)
    outer, rest = without_prefix(whole)
    inner, state = unwrapped(rest, sources)
    prefix = outer + inner
    copies = copies_of_average(state)
    others = {key: "not a tensor" for key, value in whole.items() if not isinstance(value, Tensor)}
    others |= {key: f"is outside of '{inner}', where the network is" for key in rest if not key.startswith(inner)}
    others |= {key: "counts the steps of an average" for key in whole if key == "n_averaged"}
    return Peeled(
        {key: tensor for key, tensor in state.items() if key not in copies},
        {} if not isinstance(content, Mapping) or is_state(content) else _apart(content),
        {**others, **copies},
        ", ".join(filter(None, [chosen, f"without the prefix {prefix!r}" if prefix else ""])),
    )


def unwrapped(state: Mapping[str, Tensor], sources: Mapping[str, WholeSource]) -> tuple[str, Mapping[str, Tensor]]:
    """The prefix of a network in a state dict of more, and its tensors; the state dict itself without a wrapper."""
    for name in WRAPPERS if state else ():
        prefix, inner = unwrapped(_under(f"{name}.", state), sources)
        if fitting(inner, sources):
            return f"{name}.{prefix}", inner
    if not fitting(state, sources) and (common := _common_prefix(state)):
        prefix, inner = unwrapped(_under(common, state), sources)
        return common + prefix, inner
    return "", state


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def copies_of_average(state: Mapping[str, Tensor]) -> dict[str, str]:
    """The second copy of each weight that mmcv's `EMAHook` keeps: `ema_conv1_weight` is that of `conv1.weight`.

    The hook has put the average in the place of the weights when a file is saved, so the copy has what was trained.
    """
    copies = (f"ema_{key.replace('.', '_')}" for key in state)
    return {
        copy: "kept by an EMAHook, and the weight without `ema_` has the average" for copy in copies if copy in state
    }


def _common_prefix(state: Mapping[str, Tensor]) -> str:
    """The first component that all names have, with its dot; "" if there is none, or only one name."""
    first = next(iter(state), "").partition(".")[0] + "."
    return first if len(state) > 1 and all(key.startswith(first) for key in state) else ""


def _apart(content: Mapping[Any, object]) -> dict[str, object]:
    return {str(key): value for key, value in content.items() if key not in NAMES}
