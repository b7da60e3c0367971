"""The tensors of a network as a file holds them, and back."""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from wholeframe.messages import listed, shown
from wholeframe.surgery.weight_files.safetensors_file import DTYPES

Tensors = Mapping[str, Tensor]
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
"""The memory format whose innermost axis has the channels, by the number of axes."""


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """The state dict of a network as it is, without copies.

    Raises:
        ValueError: for an entry that a file of safetensors cannot hold.
    """
    state = network.state_dict(keep_vars=True)
    own = {
        *dict(network.named_parameters(remove_duplicate=False)),
        *dict(network.named_buffers(remove_duplicate=False)),
    }
    for name, value in state.items():
        if name.rpartition(".")[2] != "_extra_state" and name not in own:
            raise ValueError(
                f"the entry {name!r} of the network's state dict is neither a parameter nor a buffer of this name: "
                "a hook writes it; store this network with torch.save"
            )
        if reason := _unfit(name, value):
            raise ValueError(f"the entry {name!r} of the network's state dict {reason}")
    _refuse_overlap(state)
    return {name: value.detach() for name, value in state.items()}


def _unfit(name: str, value: Any) -> str | None:
    """Why a file cannot hold an entry of a state dict, as the end of a sentence; None if it can."""
    if not isinstance(value, Tensor) or name.rpartition(".")[2] == "_extra_state":
        return (
            f"is a {type(value).__name__} (extra state of a module), and a file of safetensors holds tensors alone; "
            "store this network with torch.save"
        )
    kind = type(value)
    if kind not in (Tensor, nn.Parameter, nn.Buffer) or value.layout is not torch.strided or value.is_quantized:
        return (
            f"is a {kind.__name__} of layout {value.layout} and dtype {value.dtype}, and a file holds ordinary "
            "tensors; save the network before it is quantised, made sparse, sharded or lazy"
        )
    if value.is_meta:
        return "is on the meta device and has no values; load weights into the network first"
    if value.dtype not in DTYPES.values():
        return f"has the dtype {value.dtype}, which safetensors does not hold; convert the network, such as by .float()"
    return None


def _refuse_overlap(state: Mapping[str, Tensor]) -> None:
    """Refuse tensors that share a part of their memory: the file would make them independent."""
    spans: dict[int, list[tuple[int, int, str]]] = {}
    for name, value in state.items():
        if value.numel():
            start = value.data_ptr()
            reach = sum((size - 1) * stride for size, stride in zip(value.shape, value.stride(), strict=True)) + 1
            span = start, start + reach * value.element_size(), name
            spans.setdefault(value.untyped_storage().data_ptr(), []).append(span)
    for storage in spans.values():
        storage.sort()
        for (start, end, name), (after, until, other) in pairwise(storage):
            same = (start, end) == (after, until) and _same(state[name], state[other])
            if after < end and not same:
                raise ValueError(
                    f"{name!r} and {other!r} share a part of their memory, which a file does not hold; give one of "
                    "them memory of its own: `tensor.data = tensor.data.clone()`"
                )


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two entries are one tensor in memory."""
    return (one.data_ptr(), one.shape, one.stride(), one.dtype) == (
        other.data_ptr(),
        other.shape,
        other.stride(),
        other.dtype,
    )


def shared_groups(network: nn.Module) -> tuple[tuple[str, ...], ...]:
    """Groups of names of the state dict that are one and the same tensor."""
    groups: dict[tuple[int, torch.Size], list[str]] = {}
    for name, value in network.state_dict(keep_vars=True).items():
        if value.numel():
            groups.setdefault((value.data_ptr(), value.shape), []).append(name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)


def channels_last_names(tensors: Tensors) -> tuple[str, ...]:
    """The tensors whose channels are innermost in memory, and which are not contiguous as well."""
    return tuple(
        name
        for name, value in tensors.items()
        if value.ndim in FORMATS
        and not value.is_contiguous()
        and value.is_contiguous(memory_format=FORMATS[value.ndim])
    )


def unsaved_buffers(network: nn.Module) -> dict[str, Tensor]:
    """The buffers that are not part of the state dict."""
    found: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        for key in module._non_persistent_buffers_set:
            value = module._buffers.get(key)
            if value is not None:
                found[f"{name}.{key}".lstrip(".")] = value
    return found


def refuse_misfit(network: nn.Module, tensors: Tensors, buffers: Sequence[str], where: str) -> None:
    """ValueError with the first names and shapes in which the tensors differ from those of the network."""
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    own |= {name: tuple(unsaved_buffers(network)[name].shape) for name in buffers if name in unsaved_buffers(network)}
    there = {name: tuple(value.shape) for name, value in tensors.items()}
    lacks, more = sorted(own.keys() - there.keys()), sorted(there.keys() - own.keys())
    shapes = [f"{k} is {there[k]} there and {own[k]} here" for k in own.keys() & there.keys() if own[k] != there[k]]
    reasons = [
        *([f"it lacks {listed(map(shown, lacks), most=3)}"] if lacks else []),
        *([f"it also has {listed(map(shown, more), most=3)}"] if more else []),
        *([listed(sorted(shapes), most=2)] if shapes else []),
    ]
    if reasons:
        raise ValueError(f"the tensors are not those of {where}: {'; '.join(reasons)}")


def fill(network: nn.Module, tensors: Tensors, header: Any) -> None:
    """Give a network the tensors of a file: each takes the place of its own."""
    for name, value in tensors.items():
        module, key = _place(network, name)
        if name in header.channels_last:
            value = value.contiguous(memory_format=FORMATS[value.ndim])
        if isinstance(module._parameters.get(key), nn.Parameter):
            trained = name not in header.fixed and (value.is_floating_point() or value.is_complex())
            module._parameters[key] = nn.Parameter(value, requires_grad=trained)
        else:
            module._buffers[key] = value
    for first, *others in header.shared:
        source, name = _place(network, first)
        for other in others:
            module, key = _place(network, other)
            if key in module._parameters:
                module._parameters[key] = source._parameters[name]
            else:
                module._buffers[key] = source._buffers[name]


def _place(network: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, key = name.rpartition(".")
    return network.get_submodule(path), key


def digest_of(text: str, tensors: Tensors) -> str:
    """SHA-256 of the header's text and of every tensor: name, dtype, shape and values."""
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        total.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        values: Any = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        total.update(values)
    return total.hexdigest()
