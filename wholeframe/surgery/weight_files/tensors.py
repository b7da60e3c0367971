"""What the names of torch in a pickle mean: a tensor is a view of a storage, whose values are elsewhere in the file."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wholeframe.messages import shown
from wholeframe.surgery.weight_files.arrays import NUMPY
from wholeframe.surgery.weight_files.machine import Later, Machine
from wholeframe.surgery.weight_files.refused import Refused

ADVICE = "save its state dict alone: `torch.save(torch.load(path, weights_only=False)['state_dict'], NEW)`"


@dataclass
class Storage:
    """Numbers of one dtype, by the key that finds their values in the file."""

    key: str
    dtype: torch.dtype
    count: int
    values: Tensor | None = None


@dataclass
class Part:
    """A storage within another, as very old files have them."""

    storage: Storage
    first: int
    count: int


class View(Later):
    """A tensor: sizes, strides and the first place in a storage."""

    def __init__(self, storage: Storage, dtype: torch.dtype, first: int, sizes: Any, strides: Any):
        self.storage, self.dtype, self.first, self.sizes, self.strides = storage, dtype, first, sizes, strides
        self.tensor: Tensor | None = None

    def now(self) -> Tensor:
        if self.tensor is None:
            if self.storage.values is None:
                raise Refused(f"has no values for its storage '{self.storage.key}'; take another copy of the file")
            self.tensor = self.storage.values.view(self.dtype).as_strided(self.sizes, self.strides, self.first)
        return self.tensor


class Storages:
    """The storages that a pickle refers to, by key."""

    def __init__(self) -> None:
        self.by_key: dict[str, Storage] = {}

    def __call__(self, identifier: tuple[Any, ...]) -> Storage | Part:
        """A storage by what a file says of it: the word, the dtype, the key, the device, and the count of elements."""
        word, dtype, key, _device, count, *part = identifier
        if word != "storage" or not isinstance(key, str | int) or not isinstance(dtype, torch.dtype):
            raise TypeError
        if type(count) is not int or count < 0:
            raise TypeError
        storage = self.by_key.setdefault(str(key), Storage(str(key), dtype, count))
        if (storage.dtype, storage.count) != (dtype, count):
            raise Refused(f"describes its storage '{storage.key}' in two ways; take another copy of the file")
        if not part or part[0] is None:
            return storage
        _, first, size = part[0]
        return Part(storage, first, size)


def view(
    machine: Machine, storage: Any, first: Any, sizes: Any, strides: Any, *flags: Any, dtype: torch.dtype | None = None
) -> View:
    """A tensor, after its last element is found to be inside of its storage."""
    start, count = 0, 0
    if isinstance(storage, Part):
        start, count, storage = storage.first, storage.count, storage.storage
    if not isinstance(storage, Storage):
        raise TypeError
    count = count or storage.count
    dtype = dtype or storage.dtype
    numbers = (start, count, first, *sizes, *strides)
    if not all(type(number) is int and 0 <= number < 2**62 for number in numbers) or len(sizes) != len(strides):
        raise Refused("holds a tensor of impossible sizes or strides; take another copy of the file")
    last = first + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    held = min(count, storage.count - start) * storage.dtype.itemsize // dtype.itemsize
    if len(sizes) > 32 or (math.prod(sizes) and last >= held):
        raise Refused(
            f"holds a tensor of sizes {shown(tuple(sizes))} that reads beyond the {held} elements of its storage; take "
            "another copy of the file"
        )
    return View(storage, dtype, start + first, tuple(sizes), tuple(strides))


def view_as(machine: Machine, *arguments: Any) -> View:
    """A tensor that names its dtype, because its storage has bytes."""
    *shape, _gradient, _hooks, dtype = arguments[:7]
    return view(machine, *shape, dtype=dtype)


def device(machine: Machine, *parts: Any) -> str:
    """A device as text: all tensors are on the CPU here."""
    if not all(isinstance(part, str | int) for part in parts):
        raise TypeError
    return ":".join(map(str, parts))


STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}

DTYPES = {name: dtype for name, dtype in vars(torch).items() if isinstance(dtype, torch.dtype)}

TORCH: dict[tuple[str, str], Callable[..., Any] | torch.dtype] = {
    **NUMPY,
    **{(module, name): dtype for module in ("torch", "torch.cuda") for name, dtype in STORAGES.items()},
    **{("torch", name): dtype for name, dtype in DTYPES.items()},
    ("torch.storage", "UntypedStorage"): torch.uint8,
    ("torch._utils", "_rebuild_tensor"): view,
    ("torch._utils", "_rebuild_tensor_v2"): view,
    ("torch._utils", "_rebuild_tensor_v3"): view_as,
    ("torch._utils", "_rebuild_parameter"): lambda machine, data, *flags: data,
    ("torch._utils", "_rebuild_parameter_with_state"): lambda machine, data, *flags: data,
    ("torch", "Size"): lambda machine, sizes: tuple(sizes),
    ("torch", "device"): device,
}
