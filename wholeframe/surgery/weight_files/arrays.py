"""What the names of numpy in a pickle mean: arrays become tensors."""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wholeframe.messages import quoted, shown
from wholeframe.surgery.weight_files.machine import Later, Machine, Python2
from wholeframe.surgery.weight_files.refused import Refused

DTYPES = ("b1", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")


ITEM = 32
"""Bytes that an item costs in a copy of its container."""


class DType:
    """A dtype: its letters first, its byte order by `build`."""

    def __init__(self, name: Any):
        if not isinstance(name, str):
            raise TypeError
        if name not in DTYPES:
            raise Refused(
                f"holds an array of dtype '{shown(name)}'; the arrays of weights have one of {quoted(DTYPES)}"
            )
        self.numpy = np.dtype(name)

    def build(self, machine: Machine, version: int, order: str, *fields: Any) -> None:
        if order not in ("<", ">", "=", "|") or any(field is not None for field in fields[:3]):
            raise Refused("holds an array of records; the arrays of weights have numbers")
        self.numpy = self.numpy.newbyteorder(order)


class Array(Later):
    """An array, whose values come by `build`."""

    tensor: Tensor | None = None

    def now(self) -> Tensor:
        if self.tensor is None:
            raise Refused("holds an array without values; take another copy of the file")
        return self.tensor

    def build(self, machine: Machine, *state: Any) -> None:
        shape, dtype, fortran, values = state[-4:]  # old versions of numpy have no version in front
        self.tensor = tensor_of(machine, values, dtype, shape, "F" if fortran else "C")


def tensor_of(machine: Machine, values: Any, dtype: Any, shape: Any, order: Any = "C", *axes: Any) -> Tensor:
    """The values as a tensor. The shape is compared with their number first."""
    if not isinstance(dtype, DType) or order not in ("C", "F"):
        raise TypeError
    if isinstance(values, Python2):
        values = np.frombuffer(bytearray(values.content), np.uint8)
    elif isinstance(values, str):
        values = encoded(machine, values, "latin1")
    if not isinstance(values, np.ndarray) or not all(type(size) is int and size >= 0 for size in shape):
        raise TypeError
    if len(shape) > 32 or math.prod(shape) * dtype.numpy.itemsize != len(values):
        raise Refused(
            f"holds an array of shape {shown(shape)} and {dtype.numpy} that has {len(values)} bytes; take another copy "
            "of the file"
        )
    array, native = values.view(dtype.numpy).reshape(shape, order=order), dtype.numpy.newbyteorder("=")
    if order == "F" or native != dtype.numpy:
        machine.spend(len(values))
        array = array.astype(native, order="C")
    return torch.from_numpy(array)


def encoded(machine: Machine, text: Any, encoding: Any) -> np.ndarray[Any, Any]:
    """Bytes that Python 3 wrote as text, for Python 2."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise TypeError
    machine.spend(len(text))
    return np.frombuffer(bytearray(text.encode("latin1")), np.uint8)


def no_bytes(machine: Machine) -> np.ndarray[Any, Any]:
    return np.empty(0, np.uint8)


def dictionary(machine: Machine, items: Any = ()) -> dict[Any, Any]:
    machine.spend(ITEM * len(items))
    pairs = items.items() if isinstance(items, dict) else items
    return machine.put_items(OrderedDict(), [part for key, value in pairs for part in (key, value)])


def unordered(machine: Machine, items: Any = ()) -> set[Any]:
    machine.spend(ITEM * len(items))
    machine.push(set())
    machine.include(items)
    return machine.pop()


def uncalled(machine: Machine) -> None:
    """A class that is an argument only."""
    raise TypeError


BUILTINS = ("__builtin__", "builtins")
MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")

NUMPY: dict[tuple[str, str], Callable[..., Any]] = {
    **{(module, "_reconstruct"): lambda machine, *arguments: Array() for module in MULTIARRAY},
    **{(module, "scalar"): lambda m, dtype, values: tensor_of(m, values, dtype, ()).item() for module in MULTIARRAY},
    **{(module, "_frombuffer"): tensor_of for module in NUMERIC},
    ("numpy", "ndarray"): uncalled,
    ("numpy", "dtype"): lambda machine, name, *flags: DType(name),
    ("_codecs", "encode"): encoded,
    **{(module, "bytes"): no_bytes for module in BUILTINS},
    **{(module, "set"): unordered for module in BUILTINS},
    ("collections", "OrderedDict"): dictionary,
    ("collections", "Counter"): dictionary,
}
