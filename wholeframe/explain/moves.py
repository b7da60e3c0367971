"""How the operations that move elements change their places: windows, slices, views, products of matrices."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from wholeframe.explain.places import (
    Factor,
    Place,
    cut_out,
    joined,
    mixed,
    permuted,
    regrouped,
    resampled,
    single,
    with_new_dim,
)


class Call:
    """An operation with named arguments, and the places of its tensors."""

    def __init__(self, func: Any, args: Any, kwargs: Any, places: dict[int, Place | None]):
        schema = func._schema.arguments
        self.given = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
        self.given |= {argument.name: value for argument, value in zip(schema, args, strict=False)} | kwargs
        self.first: Any = args[0] if args else None
        self.places = places

    def __getitem__(self, name: str) -> Any:
        return self.given.get(name)

    def of(self, tensor: Any) -> Place | None:
        return self.places.get(id(tensor))

    @property
    def place(self) -> Place | None:
        """The place of the first argument."""
        return self.of(self.first)


Rule = Callable[[Call, Sequence[Tensor]], list[Place | None]]


def _each(values: Any, count: int) -> list[Any]:
    """One value per axis, from one or several."""
    values = [values] if isinstance(values, int | float) else list(values)
    return values * count if len(values) == 1 else values


def _windows(call: Call, out: Tensor, kernel: Sequence[int], default_stride: Sequence[int] = ()) -> Place | None:
    """cell i of a window of k cells every s cells after p cells of padding: centre s i + (d (k - 1)) / 2 - p."""
    place = call.place
    if place is None:
        return None
    count = len(kernel)
    stride = _each(call["stride"] or list(default_stride), count)
    padding = _each(call["padding"], count)
    dilation = _each(call["dilation"] or 1, count)
    for k in range(count):
        dim, reach = out.ndim - count + k, dilation[k] * (kernel[k] - 1) / 2
        if call["transposed"]:
            place = resampled(place, dim, out.shape[dim], 1 / stride[k], (padding[k] - reach) / stride[k])
        else:
            place = resampled(place, dim, out.shape[dim], stride[k], reach - padding[k])
    return place


def _convolution(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    out, kernel = outputs[0], call["weight"].shape[2:]
    place = _windows(call, out, kernel)
    return [None if place is None else mixed(place, 1).with_dim(1, (Factor(out.shape[1]),))]


def _deformed(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    """A deformable convolution, at its undeformed places."""
    place, (out,) = call.place, outputs
    for k, axis in enumerate("hw"):
        if place is not None:
            reach = call[f"dilation_{axis}"] * (call["weight"].shape[2 + k] - 1) / 2
            place = resampled(place, 2 + k, out.shape[2 + k], call[f"stride_{axis}"], reach - call[f"pad_{axis}"])
    return [None if place is None else place.with_dim(1, (Factor(out.shape[1]),))]


def _pooled(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    kernel = list(call["kernel_size"])
    kernel = kernel * 2 if len(kernel) == 1 and call.first.ndim == 4 else kernel
    return [_windows(call, out, kernel, kernel) for out in outputs]


def _stretched(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    """Interpolation and adaptive pooling: cell o of m is at (o + 1/2) n/m - 1/2 of n cells."""
    place, out = call.place, outputs[0]
    if place is None:
        return [None] * len(outputs)
    scales = call["scale_factors"] or [call[name] for name in ("scales_d", "scales_h", "scales_w", "scales")]
    count = len(call["output_size"] or call["scale_factors"])
    scales = [scale for scale in scales if scale] or [None] * count
    for k in range(count):
        dim = out.ndim - count + k
        old, new = call.first.shape[dim], out.shape[dim]
        if call["align_corners"]:
            place = resampled(place, dim, new, (old - 1) / (new - 1) if new > 1 else 1, 0)
        else:
            ratio = 1 / scales[k] if len(scales) == count and scales[k] else old / new
            place = resampled(place, dim, new, ratio, (ratio - 1) / 2)
    return [place] * len(outputs)


def _shuffled(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    place, (out,) = call.place, outputs
    for dim in (out.ndim - 2, out.ndim - 1):
        ratio = call.first.shape[dim] / out.shape[dim]
        place = None if place is None else resampled(place, dim, out.shape[dim], ratio, (ratio - 1) / 2)
    return [None if place is None else place.with_dim(out.ndim - 3, (Factor(out.shape[-3]),))]


def _padded(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    place, (out,) = call.place, outputs
    amounts = call["pad"] if call["pad"] is not None else call["padding"]
    for k in range(len(amounts) // 2):
        dim = out.ndim - 1 - k
        place = None if place is None else resampled(place, dim, out.shape[dim], 1, -amounts[2 * k])
    return [place]


def _viewed(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    return [None if call.place is None else regrouped(call.place, out.shape) for out in outputs]


def _swapped(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    if call.place is None:
        return [None]
    order = list(range(outputs[0].ndim))
    if call["dims"] is not None:
        order = [d % len(order) for d in call["dims"]]
    elif len(order) > 1:
        a, b = (call["dim0"], call["dim1"]) if call["dim0"] is not None else (0, 1)
        order[a], order[b] = order[b], order[a]
    return [permuted(call.place, order)]


def _sliced(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    if call.place is None:
        return [None]
    dim, length = call["dim"] % outputs[0].ndim, call.first.shape[call["dim"]]
    start = slice(call["start"], None).indices(length)[0]
    return [cut_out(call.place, dim, start, outputs[0].shape[dim], call["step"])]


def _split(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    if call.place is None:
        return [None] * len(outputs)
    dim, start, found = (call["dim"] or 0) % call.first.ndim, 0, []
    for out in outputs:
        found.append(cut_out(call.place, dim, start, out.shape[dim]))
        start += out.shape[dim]
    return found


def _selected(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    """`select` and `unbind`: a dimension is left out, at its index."""
    if call.place is None:
        return [None] * len(outputs)
    dim = (call["dim"] or 0) % call.first.ndim
    first = (call["index"] or 0) % call.first.shape[dim]
    factor, found = single(call.place.dims[dim]), []
    for k in range(len(outputs)):
        place = call.place if factor is None else call.place.moved(factor.axis, (first + k) * factor.step)
        found.append(replace(place, dims=(*place.dims[:dim], *place.dims[dim + 1 :])))
    return found


def _stacked(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    dim = (call["dim"] or 0) % outputs[0].ndim
    places = [call.of(tensor) for tensor in call["tensors"]]
    places = [None if place is None else with_new_dim(place, dim) for place in places]
    return [joined(places, [1] * len(places), dim)]


def _concatenated(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    tensors = call["tensors"]
    kept = [tensor for tensor in tensors if tensor.ndim == outputs[0].ndim]  # cat leaves out an empty list
    dim = (call["dim"] or 0) % outputs[0].ndim
    return [joined([call.of(tensor) for tensor in kept], [tensor.shape[dim] for tensor in kept], dim)]


def _rolled(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    """The elements that pass the end continue before the start, as if the input did; a roll back puts them right."""
    place = call.place
    for shift, dim in zip(_each(call["shifts"], 1), _each(call["dims"], 1), strict=False):
        factor = None if place is None else single(place.dims[dim])
        if place is not None:
            place = (
                place.moved(factor.axis, -shift * factor.step)
                if factor
                else place.with_dim(dim, (Factor(outputs[0].shape[dim]),))
            )
    return [place]


def _flipped(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    place = call.place
    for dim in call["dims"]:
        size = outputs[0].shape[dim]
        place = None if place is None else resampled(place, dim % outputs[0].ndim, size, -1, size - 1)
    return [place]


def _product(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    """Rows of the first matrix, columns of the second."""
    a, b = (call[name] for name in ("mat1", "mat2")) if call["mat1"] is not None else (call["self"], call["mat2"])
    if call["batch1"] is not None:
        a, b = call["batch1"], call["batch2"]
    left, right, out = call.of(a), call.of(b), outputs[0]
    if left is None and right is None:
        return [None]
    base = left or right
    assert base is not None
    if left is not None and right is None:  # With two places it is a sum over keys, and the rows are those of queries.
        base = mixed(left, -1)
    rows = left.dims[-2] if left else (Factor(out.shape[-2]),)
    columns = right.dims[-1] if right else (Factor(out.shape[-1]),)
    return [replace(base, dims=(*base.dims[:-2], rows, columns))]


def _lost(_call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    return [None] * len(outputs)


def _unsqueezed(call: Call, outputs: Sequence[Tensor]) -> list[Place | None]:
    if call.place is None:
        return [None]
    return [with_new_dim(call.place, call["dim"] % outputs[0].ndim)]


RULES: dict[str, Rule] = {
    "convolution": _convolution,
    "torchvision::deform_conv2d": _deformed,
    "torchvision::roi_align": _lost,
    "pixel_shuffle": _shuffled,
    "pixel_unshuffle": _shuffled,
    "view": _viewed,
    "_unsafe_view": _viewed,
    "_reshape_alias": _viewed,
    "reshape": _viewed,
    "squeeze": _viewed,
    "unsqueeze": _unsqueezed,
    "permute": _swapped,
    "transpose": _swapped,
    "t": _swapped,
    "slice": _sliced,
    "split": _split,
    "split_with_sizes": _split,
    "select": _selected,
    "unbind": _selected,
    "cat": _concatenated,
    "stack": _stacked,
    "roll": _rolled,
    "flip": _flipped,
    "mm": _product,
    "bmm": _product,
    "addmm": _product,
    "baddbmm": _product,
    "as_strided": _lost,
    "index": _lost,
    "gather": _lost,
    "grid_sampler_2d": _lost,
    "grid_sampler_3d": _lost,
}
"""rules by the name of the operation"""

FAMILIES: dict[str, Rule] = {
    "adaptive": _stretched,
    "upsample": _stretched,
    "max_pool": _pooled,
    "avg_pool": _pooled,
    "pad_nd": _padded,
    "reflection_pad": _padded,
    "replication_pad": _padded,
}
"""rules by a part of the name"""


def rule_of(name: str) -> Rule | None:
    """The rule of an operation by its name, in place or not; None for one that moves no element."""
    name = name.rstrip("_")
    return RULES.get(name) or next((rule for part, rule in FAMILIES.items() if part in name), None)
