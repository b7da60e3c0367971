"""The stack machine of pickles, which builds plain data and tensors, and calls nothing of what the file names.

A pickle is a program: its instructions put values on a stack, put them into containers and call functions by name. Here
a name means a function of this folder (`arrays.NUMPY`, `tensors.TORCH`) or is refused. No memory is taken for a length
that the file states before the length is compared with the bytes that are left.
"""

import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wholeframe.messages import shown
from wholeframe.surgery.weight_files.refused import Refused

MOST_VALUES = 2**21
"""Instructions, and values in the content. A network of 1000 tensors takes some 40 000 instructions."""

SHORT = 256
"""Bytes of a Python 2 string that is read as text at once; a longer one may be the values of an array."""

LONGEST_NUMBER = 32
"""Bytes of a number; a size has 20 digits at most."""

REPEATED = 4
"""How often the bytes of a file may appear in its tensors: tied weights are two names of one tensor."""

SPARE = 2**26
"""Bytes that tensors may have in any file, for small ones that repeat one value."""


class Python2(str):
    """A short string of Python 2: text of UTF-8 or Latin-1, with the bytes that it has in the file."""

    content: bytes

    def __new__(cls, content: bytes) -> "Python2":
        try:
            text = super().__new__(cls, content.decode())
        except UnicodeDecodeError:
            text = super().__new__(cls, content.decode("latin1"))
        text.content = content
        return text


@dataclass(frozen=True)
class Function:
    """What a name that the file may call does here."""

    make: Callable[..., Any]


class Later:
    """A tensor whose values come after its name: by a later instruction, or in a later part of the file."""

    def now(self) -> Tensor:
        raise NotImplementedError


class Machine:
    """The stack, the memo, and the bytes that are left.

    Args:
        stream: at the beginning of the pickle.
        size: bytes from there to the end of the file.
        names: what module and name mean here: a function of the machine and the arguments, or a dtype.
        advice: what to type if the file holds Python objects.
        persistent: what an identifier of torch means (a storage); None if the format has none.
    """

    def __init__(
        self,
        stream: BufferedIOBase,
        size: int,
        names: Mapping[tuple[str, str], Callable[..., Any] | torch.dtype],
        advice: str,
        persistent: Callable[[tuple[Any, ...]], Any] | None = None,
    ):
        self.stream, self.left, self.budget = stream, size, 2 * size
        self.names, self.advice, self.persistent = names, advice, persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    # the file

    def consume(self, count: int) -> None:
        if not 0 <= count <= self.left:
            raise Refused(
                f"is truncated or damaged: its pickle goes on for {count} bytes where {self.left} are left; take "
                "another copy of the file"
            )
        self.left -= count

    def take(self, count: int) -> bytes:
        self.consume(count)
        return self.stream.read(count)

    def take_number(self, form: str) -> int:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def take_line(self, most: int | None = None) -> bytes:
        line = self.stream.readline((self.left if most is None else min(most, self.left)) + 1)
        if not line.endswith(b"\n"):
            raise Refused("is truncated or damaged: a line of its pickle does not end; take another copy of the file")
        self.consume(len(line))
        return line[:-1]

    def take_values(self, count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Bytes, in memory of their own that is writable and aligned."""
        self.consume(count)
        values = np.empty(count, np.uint8)
        if self.stream.readinto(values.data) != count:
            raise Refused("became shorter while it was read; read it again when nothing writes to it")
        return values

    def take_integer(self, count: int) -> None:
        if count > LONGEST_NUMBER:
            raise Refused(f"holds a number of {count} bytes, which no file of weights needs")
        self.push(int.from_bytes(self.take(count), "little", signed=True))

    def spend(self, count: int) -> None:
        """Count the bytes that are copied, which the file's own size bounds unless it repeats itself."""
        self.budget -= count
        if self.budget < 0:
            raise Refused("copies its values again and again, which no file of weights needs")

    # the stack

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_string(self, content: bytes) -> None:
        """Push a Python 2 string, which is text or the values of an array."""
        self.push(Python2(content) if len(content) < SHORT else np.frombuffer(bytearray(content), np.uint8))

    def pop(self) -> Any:
        return self.stack.pop()

    def pop_last(self, count: int) -> list[Any]:
        return [self.stack.pop() for _ in range(count)][::-1]

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    # containers

    def put_items(self, target: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
        for key, value in zip(items[::2], items[1::2], strict=True):
            key = self.text(key) if isinstance(key, np.ndarray) else str(key) if isinstance(key, Python2) else key
            if not isinstance(key, str | int | float | None):
                raise Refused(f"holds a dictionary with a {type(key).__name__} as a name; save a state dict alone")
            if key in target:
                raise Refused(f"holds two entries '{shown(key)}' in one dictionary; take another copy of the file")
            target[key] = value
        return target

    def update(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict):
            raise TypeError
        self.put_items(self.stack[-1], items)

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError
        self.stack[-1].extend(items)

    def include(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], set) or not all(isinstance(item, str | int | float | None) for item in items):
            raise TypeError
        self.stack[-1].update(items)

    def text(self, values: np.ndarray[Any, Any]) -> str:
        self.spend(len(values))
        return str(Python2(values.tobytes()))

    # calls

    def name(self, module: Any, name: Any) -> None:
        # Text alone: a hash or a message of nested tuples may not end.
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError
        if (module, name) not in self.names:
            whole = shown(f"{module}.{name}")
            if self.persistent is None and module == "torch._utils":
                raise Refused("holds tensors of torch that `pickle` wrote; write them with `torch.save`")
            if whole.startswith(
                ("torch._utils._rebuild_", "torch._tensor._rebuild_", "torch.serialization._get_layout")
            ):
                raise Refused(
                    f"holds a tensor that is not dense ({whole}: sparse, quantised, nested, without values, or of a "
                    "class of its own); save `tensor.to_dense()` or `tensor.dequantize()` instead"
                )
            raise Refused(
                f"cannot be read as tensors and plain data: it also holds Python objects ({whole}), and loading them "
                f"runs code from the file; if you trust it, {self.advice}"
            )
        found = self.names[module, name]
        self.push(found if isinstance(found, torch.dtype) else Function(found))

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Function) or not isinstance(arguments, tuple):
            raise TypeError
        self.push(function.make(self, *arguments))

    def build(self) -> None:
        """Give an object its state: the byte order of a dtype, the values of an array, the versions of a state dict."""
        state, target = self.pop(), self.stack[-1]
        if not isinstance(target, OrderedDict):
            target.build(self, *state)
        elif not isinstance(state, dict):
            raise TypeError
        elif list(state) != ["_metadata"]:
            raise Refused(f"holds a state dict with attributes ({shown(list(state))}); save a copy: `dict(state)`")
        else:
            vars(target)["_metadata"] = Contents(self).finished(state["_metadata"])

    def refer(self, identifier: Any) -> None:
        if self.persistent is None or not isinstance(identifier, tuple):
            raise Refused("is a pickle that refers to another file; save the weights alone with `torch.save`")
        self.push(self.persistent(identifier))


@dataclass
class Contents:
    """A walk through what a pickle holds, place by place, that puts tensors and text where they belong.

    Containers that hold each other, or that hold one another twice and again twice, have more places than values: the
    walk ends at a limit.
    """

    machine: Machine
    size: int = 0
    places: int = 0
    bytes: int = 0

    def finished(self, value: Any) -> Any:
        self.places += 1
        if self.places > MOST_VALUES:
            raise Refused(f"holds more than {MOST_VALUES} values (some share containers); save a state dict alone")
        if isinstance(value, Python2):
            return str(value)
        if isinstance(value, str | int | float | None):
            return value
        if isinstance(value, Later):
            return self.measured(value.now())
        if isinstance(value, dict):
            for key, part in value.items():
                value[key] = self.finished(part)
            return value
        if isinstance(value, list):
            value[:] = map(self.finished, value)
            return value
        if isinstance(value, tuple):
            return tuple(map(self.finished, value))
        if isinstance(value, np.ndarray):
            return self.machine.text(value)
        if isinstance(value, Tensor):
            return self.measured(value)
        if isinstance(value, torch.dtype | set):
            return value
        raise Refused(f"holds a {type(value).__name__} where a value is due; take another copy of the file")

    def measured(self, tensor: Tensor) -> Tensor:
        self.bytes += tensor.numel() * tensor.element_size()
        if self.bytes > REPEATED * self.size + SPARE:
            raise Refused(
                f"has {self.size} bytes, and its tensors are more than {self.bytes} written out (they repeat the same "
                "values); save `tensor.contiguous()` of each if that is meant"
            )
        return tensor
