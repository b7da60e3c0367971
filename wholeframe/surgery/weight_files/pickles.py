"""Pickles of numpy arrays and plain data (Caffe2, Detectron, Detectron2), read by an interpreter that calls nothing.

A pickle is a program for a stack machine. This machine has the instructions that containers, numbers, text and arrays
need. The names in `GLOBALS` stand for functions of this file; every other name and instruction is refused. No memory
is taken for a length that the file states before the length is compared with the bytes that are left.
"""

import math
import pickletools
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from wholeframe.messages import quoted, shown
from wholeframe.surgery.weight_files.refused import Refused

MOST_INSTRUCTIONS = 2**21
"""A network of 1000 tensors takes some 40 000."""

SHORT = 256
"""Bytes of a Python 2 string that is read as text at once; a longer one is an array's values until used as text."""

LONGEST_NUMBER = 32
"""Characters of a number. A size has 20 at most."""

DTYPES = ("b1", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")


HEAD = re.compile(rb"\x80[\x00-\x05](?!\x8a\x0a)|\(|[]}][q(.]|c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n")
"""How a pickle begins, except for `torch.save` of old, whose first number has ten bytes."""


def is_pickle(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a pickle that is not of `torch.save`."""
    return HEAD.match(head) is not None


def read_pickle(path: Path) -> Any:
    """The content of a pickle: plain data, and a tensor for each numpy array.

    Args:
        path: a pickle of protocol 0 to 5, of Python 2 (text in Latin-1) or 3.

    Raises:
        Refused: it is truncated or damaged, or holds anything but numbers, text, containers and numeric arrays.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        machine = _Machine(stream, size)
        try:
            return machine.run()
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, struct.error):
            raise Refused(
                f"is a damaged pickle (at byte {size - machine.left}); take another copy of the file"
            ) from None


class _Machine:
    """The stack, the memo, and what is left of the file."""

    def __init__(self, stream: BinaryIO, size: int):
        self.stream, self.left, self.budget = stream, size, 2 * size
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(MOST_INSTRUCTIONS):
            code = self.take(1)
            if code == b".":
                return self.result()
            if code not in STEPS:
                name = pickletools.code2op[code.decode("latin1")].name
                raise Refused(f"is a pickle with the instruction {name}, which arrays and plain data do not need")
            STEPS[code](self)
        raise Refused(f"is a pickle of more than {MOST_INSTRUCTIONS} instructions, which no file of weights needs")

    def result(self) -> Any:
        (value,) = self.stack
        if self.below or self.left:
            raise Refused(f"is a pickle that ends {self.left} bytes before the file does; take another copy of it")
        return self.plain(value)

    def take(self, count: int) -> bytes:
        self.consume(count)
        return self.stream.read(count)

    def take_number(self, form: str) -> int:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def take_line(self, most: int | None = None) -> bytes:
        line = self.stream.readline((self.left if most is None else min(most, self.left)) + 1)
        if not line.endswith(b"\n"):
            raise Refused(
                "is a pickle that is truncated or damaged: a line does not end; take another copy of the file"
            )
        self.consume(len(line))
        return line[:-1]

    def take_values(self, count: int) -> np.ndarray:
        """Bytes, in memory of their own that is writable and aligned."""
        self.consume(count)
        values = np.empty(count, np.uint8)
        if self.stream.readinto(memoryview(values)) != count:
            raise Refused("became shorter while it was read")
        return values

    def consume(self, count: int) -> None:
        if not 0 <= count <= self.left:
            raise Refused(
                f"is a truncated or damaged pickle: it states {count} bytes where {self.left} are left; take another "
                "copy of the file"
            )
        self.left -= count

    def spend(self, count: int) -> None:
        """Count the bytes that instructions copy, which the file's own size bounds unless it repeats itself."""
        self.budget -= count
        if self.budget < 0:
            raise Refused("is a pickle that copies its values again and again, which no file of weights needs")

    def push(self, value: Any) -> None:
        self.stack.append(value)

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

    def plain(self, value: Any) -> Any:
        """A value as it is put into a container."""
        if isinstance(value, _Array):
            if value.tensor is None:
                raise Refused("is a pickle with an array that has no values")
            return value.tensor
        if isinstance(value, np.ndarray):
            self.spend(len(value))
            return value.tobytes().decode("latin1")
        if isinstance(value, tuple):
            return tuple(map(self.plain, value))
        if isinstance(value, _Global | _DType):
            raise Refused(f"is a pickle that holds a {type(value).__name__.strip('_')} as a value")
        return value

    def put_items(self, target: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
        for key, value in zip(items[::2], items[1::2], strict=True):
            key = self.plain(key)
            if not isinstance(key, str | int):
                raise Refused(f"is a pickle with a {type(key).__name__} as a name")
            if key in target:
                raise Refused(f"is a pickle with two entries '{shown(key)}'")
            target[key] = self.plain(value)
        return target

    def update(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict):
            raise TypeError
        self.put_items(self.stack[-1], items)

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError
        self.stack[-1].extend(map(self.plain, items))

    def call_later(self, module: str, name: str) -> None:
        if (module, name) not in GLOBALS:
            raise Refused(
                f"holds Python objects ({shown(module)}.{shown(name)}), and loading them runs code from the file; if "
                "you trust it, load it yourself and write its arrays alone, as tensors, with `torch.save`"
            )
        self.push(_Global(GLOBALS[module, name]))

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise TypeError
        self.push(function.make(self, *arguments))

    def build(self) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, _DType):
            target.build(*state)
        elif isinstance(target, _Array) and target.tensor is None:
            # Old versions of numpy leave the version out.
            shape, dtype, fortran, values = state[-4:]
            target.tensor = _tensor(self, values, dtype, shape, "F" if fortran else "C")
        else:
            raise TypeError

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        """Push a value again. A container in two places could hold itself, or 2^n copies of its content."""
        value = self.memo[index]
        parts = value if isinstance(value, tuple) else (value,)
        if any(isinstance(part, tuple | list | dict) for part in parts):
            raise Refused("is a pickle in which two places share one container, which no file of weights needs")
        self.push(value)

    def take_text(self, count: int) -> None:
        """A Python 2 string, which is text or the values of an array."""
        self.push(self.take(count).decode("latin1") if count < SHORT else self.take_values(count))

    def take_unicode(self, count: int) -> None:
        self.push(self.take(count).decode())

    def take_integer(self, count: int) -> None:
        if count > LONGEST_NUMBER:
            raise Refused(f"is a pickle with a number of {count} bytes, which no file of weights needs")
        self.push(int.from_bytes(self.take(count), "little", signed=True))


@dataclass(frozen=True)
class _Global:
    """A name that the pickle may call, as a function of this file."""

    make: Callable[..., Any]


class _DType:
    """A dtype: its letters first, its byte order by the instruction BUILD."""

    def __init__(self, name: Any):
        if name not in DTYPES:
            raise Refused(
                f"is a pickle with an array of dtype '{shown(name)}', and weights are numbers: {quoted(DTYPES)}"
            )
        self.numpy = np.dtype(name)

    def build(self, version: int, order: str, *fields: Any) -> None:
        if order not in ("<", ">", "=", "|") or any(field is not None for field in fields[:3]):
            raise Refused("is a pickle with an array of records, and weights are numbers")
        self.numpy = self.numpy.newbyteorder(order)


@dataclass
class _Array:
    """An array, whose values come by the instruction BUILD."""

    tensor: Tensor | None = None


def _dtype(machine: _Machine, name: Any, *flags: Any) -> _DType:
    return _DType(name)


def _empty_array(machine: _Machine, *arguments: Any) -> _Array:
    return _Array()


def _array(machine: _Machine, values: Any, dtype: Any, shape: Any, order: Any, *axes: Any) -> _Array:
    return _Array(_tensor(machine, values, dtype, shape, order))


def _scalar(machine: _Machine, dtype: Any, values: Any) -> int | float | bool:
    return _tensor(machine, values, dtype, (), "C").item()


def _tensor(machine: _Machine, values: Any, dtype: Any, shape: Any, order: Any) -> Tensor:
    """The values as a tensor. The shape is compared with their number first."""
    if not isinstance(dtype, _DType) or order not in ("C", "F"):
        raise TypeError
    if isinstance(values, str):
        values = _encoded(machine, values, "latin1")
    if not isinstance(values, np.ndarray) or not all(type(size) is int and size >= 0 for size in shape):
        raise TypeError
    if len(shape) > 32 or math.prod(shape) * dtype.numpy.itemsize != len(values):
        raise Refused(
            f"is a pickle with an array of shape {shown(shape)} and {dtype.numpy} that has {len(values)} bytes; take "
            "another copy of the file"
        )
    array, native = values.view(dtype.numpy).reshape(shape, order=order), dtype.numpy.newbyteorder("=")
    if order == "F" or native != dtype.numpy:
        machine.spend(len(values))
        array = array.astype(native, order="C")
    return torch.from_numpy(array)


def _encoded(machine: _Machine, text: Any, encoding: Any) -> np.ndarray:
    """Bytes that Python 3 wrote as text, for Python 2."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise TypeError
    machine.spend(len(text))
    return np.frombuffer(bytearray(text.encode("latin1")), np.uint8)


def _no_bytes(machine: _Machine) -> np.ndarray:
    return np.empty(0, np.uint8)


def _dictionary(machine: _Machine, pairs: Any = ()) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    machine.put_items(made, [part for pair in pairs for part in (pair[0], pair[1])])
    return made


def _nothing(machine: _Machine) -> None:
    """The name of a class that is an argument only."""
    raise Refused("is a pickle that makes an array without values")


GLOBALS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _array,
    ("numpy._core.numeric", "_frombuffer"): _array,
    ("numpy", "ndarray"): _nothing,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encoded,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
    ("collections", "OrderedDict"): _dictionary,
}

PROTOCOL_0_BOOLS = {b"00": False, b"01": True}


def _number_line(machine: _Machine) -> None:
    line = machine.take_line(LONGEST_NUMBER)
    machine.push(PROTOCOL_0_BOOLS[line] if line in PROTOCOL_0_BOOLS else int(line))


def _string_line(machine: _Machine) -> None:
    """The `repr` of a Python 2 string, whose backslashes are all escapes of one byte."""
    line = machine.take_line()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError
    machine.push(line[1:-1].decode("unicode_escape"))


def _protocol(machine: _Machine) -> None:
    if machine.take_number("<B") > 5:
        raise ValueError


def _named(machine: _Machine) -> None:
    module, name = (machine.take_line(SHORT).decode() for _ in range(2))
    machine.call_later(module, name)


def _named_on_the_stack(machine: _Machine) -> None:
    name, module = machine.pop(), machine.pop()
    machine.call_later(module, name)


STEPS: dict[bytes, Callable[[_Machine], object]] = {
    # the form of the file: PROTO, FRAME
    b"\x80": _protocol,
    b"\x95": lambda m: m.take(8),
    # constants and numbers: NONE NEWTRUE NEWFALSE, INT LONG FLOAT, BININT1 BININT2 BININT LONG1 LONG4 BINFLOAT
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": _number_line,
    b"L": lambda m: m.push(int(m.take_line(LONGEST_NUMBER).removesuffix(b"L"))),
    b"F": lambda m: m.push(float(m.take_line(LONGEST_NUMBER))),
    b"K": lambda m: m.push(m.take_number("<B")),
    b"M": lambda m: m.push(m.take_number("<H")),
    b"J": lambda m: m.push(m.take_number("<i")),
    b"\x8a": lambda m: m.take_integer(m.take_number("<B")),
    b"\x8b": lambda m: m.take_integer(m.take_number("<I")),
    b"G": lambda m: m.push(m.take_number(">d")),
    # text: STRING BINSTRING SHORT_BINSTRING, UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
    b"S": _string_line,
    b"T": lambda m: m.take_text(m.take_number("<I")),
    b"U": lambda m: m.take_text(m.take_number("<B")),
    b"V": lambda m: m.push(m.take_line().decode("raw_unicode_escape")),
    b"X": lambda m: m.take_unicode(m.take_number("<I")),
    b"\x8c": lambda m: m.take_unicode(m.take_number("<B")),
    b"\x8d": lambda m: m.take_unicode(m.take_number("<Q")),
    # bytes: BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8
    b"B": lambda m: m.push(m.take_values(m.take_number("<I"))),
    b"C": lambda m: m.push(m.take_values(m.take_number("<B"))),
    b"\x8e": lambda m: m.push(m.take_values(m.take_number("<Q"))),
    b"\x96": lambda m: m.push(m.take_values(m.take_number("<Q"))),
    # containers: MARK, EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE, EMPTY_LIST LIST APPEND APPENDS, and those of dict
    b"(": lambda m: m.mark(),
    b")": lambda m: m.push(()),
    b"\x85": lambda m: m.push(tuple(m.pop_last(1))),
    b"\x86": lambda m: m.push(tuple(m.pop_last(2))),
    b"\x87": lambda m: m.push(tuple(m.pop_last(3))),
    b"t": lambda m: m.push(tuple(m.since_mark())),
    b"]": lambda m: m.push([]),
    b"l": lambda m: m.push(list(map(m.plain, m.since_mark()))),
    b"a": lambda m: m.extend(m.pop_last(1)),
    b"e": lambda m: m.extend(m.since_mark()),
    b"}": lambda m: m.push({}),
    b"d": lambda m: m.push(m.put_items({}, m.since_mark())),
    b"s": lambda m: m.update(m.pop_last(2)),
    b"u": lambda m: m.update(m.since_mark()),
    # the memo: PUT BINPUT LONG_BINPUT MEMOIZE, GET BINGET LONG_BINGET
    b"p": lambda m: m.remember(int(m.take_line(LONGEST_NUMBER))),
    b"q": lambda m: m.remember(m.take_number("<B")),
    b"r": lambda m: m.remember(m.take_number("<I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"g": lambda m: m.recall(int(m.take_line(LONGEST_NUMBER))),
    b"h": lambda m: m.recall(m.take_number("<B")),
    b"j": lambda m: m.recall(m.take_number("<I")),
    # calls: GLOBAL STACK_GLOBAL REDUCE BUILD
    b"c": _named,
    b"\x93": _named_on_the_stack,
    b"R": lambda m: m.call(),
    b"b": lambda m: m.build(),
}
"""The instructions. Those left out make objects of classes, or refer to other files and to a registry of extensions."""
