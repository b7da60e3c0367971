"""The tensors of a file without what training programs put around them: entries, prefixes, copies of an average."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from wholeframe.convert.entries import chosen_entry
from wholeframe.convert.whole import WholeSource, fitting
from wholeframe.messages import in_quotes, listed
from wholeframe.surgery.state_files import NAMES, is_state, without_prefix

WRAPPERS = ("ema_model", "model_ema", "ema", "averaged_model", "module", "_orig_mod", "model", "network", "net")
"""attributes under which training programs keep a network next to losses and metrics; moving averages first"""

TRANSPARENT = re.compile(
    r"(?<=\.)(module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module|_ddp_module)\."
    r"|^(_fsdp_wrapped_module|_forward_module|_ddp_module)\."
)
"""wrappers of a part of a network, wherever they are in a name; those of a whole network are prefixes"""

PROFILED = ("total_ops", "total_params")
"""what the profiler thop leaves in every module that it counts"""

REPARAMETRISED = re.compile(r"\.(weight|bias)_(orig|mask|g|v|u)$|\.parametrizations\.")
"""tensors from which torch's pruning, weight norm and spectral norm compute a weight"""

DEPTH = 4
"""prefixes in front of a network that are looked through"""


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
    If a part of the names has the same prefix and is a network of a source, the others are left.

    Args:
        content: of the file.
        what: the file, in the words of the message.
        sources: that are considered.

    Raises:
        ValueError: if the content has no state dict, several without a known name, several networks in one state dict,
            or tensors from which weights have to be computed.
    """
    chosen, whole = chosen_entry(content, what, lambda state: bool(networks(_plain(state)[1], sources)))
    outer, plain, wrapped = _plain(whole)
    found = networks(plain, sources)
    if len(found) > 1:
        raise ValueError(
            f"{what} holds {len(found)} networks, whose names begin with {listed(in_quotes(found))}; save one of them "
            "alone"
        )
    inner = next(iter(found), "")
    state = _under(inner, plain)
    copies = copies_of_average(state)
    profiled = {key: "counted by a profiler, thop" for key in state if key.rpartition(".")[2] in PROFILED}
    if computed := [key for key in state if REPARAMETRISED.search(key)]:
        raise ValueError(
            f"{what} holds {listed(in_quotes(computed), most=3)}, from which torch computes weights (pruning, weight "
            "norm or spectral norm); call torch.nn.utils.prune.remove, remove_weight_norm, or "
            "parametrize.remove_parametrizations on the network, and save it again"
        )
    others = {key: "not a tensor" for key, value in whole.items() if not isinstance(value, Tensor)}
    others |= {key: f"is outside of '{inner}', where the network is" for key in plain if not key.startswith(inner)}
    others |= {key: "counts the steps of an average" for key in whole if key == "n_averaged"}
    read = [chosen]
    read += [f"without the prefix {outer + inner!r}"] if outer + inner else []
    read += ["without the wrappers of its parts"] if wrapped else []
    return Peeled(
        {key: tensor for key, tensor in state.items() if key not in copies and key not in profiled},
        {} if not isinstance(content, Mapping) or is_state(content) else _apart(content),
        {**others, **copies, **profiled},
        ", ".join(filter(None, read)),
    )


def networks(state: Mapping[str, Tensor], sources: Mapping[str, WholeSource], depth: int = DEPTH) -> list[str]:
    """The prefixes under which a state dict has a network of a source: that of a wrapper, `""`, or those of parts.

    Parts are searched for the sources alone whose names begin in one way; others fit under any prefix as they are. A
    part is an eighth of the tensors at least, so that a file of thousands of small modules is searched in no time.
    """
    sizes = Counter(f"{key.partition('.')[0]}." for key in state if "." in key) if depth else {}
    parts = [part for part, size in sizes.items() if 8 * size >= len(state)]
    for wrapper in (f"{name}." for name in WRAPPERS if f"{name}." in parts):
        if found := networks(_under(wrapper, state), sources, depth - 1):
            return [wrapper + prefix for prefix in found]
    if fitting(state, sources):
        return [""]
    others = [part for part in parts if part.removesuffix(".") not in WRAPPERS]
    anchored = {name: source for name, source in sources.items() if any(p.startswith("^") for p in source.decisive)}
    return [part + prefix for part in others for prefix in networks(_under(part, state), anchored, depth - 1)]


def _plain(whole: Mapping[str, Any]) -> tuple[str, dict[str, Tensor], bool]:
    """The common prefix, the tensors without it and without wrappers of parts, and whether there are such wrappers."""
    prefix, rest = without_prefix(whole)
    names = {key: TRANSPARENT.sub("", key) for key in rest}
    if len(set(names.values())) < len(names):  # Two tensors would have one name.
        return prefix, rest, False
    return prefix, {names[key]: tensor for key, tensor in rest.items()}, any(key != names[key] for key in rest)


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


def _apart(content: Mapping[Any, object]) -> dict[str, object]:
    return {str(key): value for key, value in content.items() if key not in NAMES}
