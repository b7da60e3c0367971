"""The instructions of a pickle, and a run of them."""

import pickletools
import re
import struct
from collections.abc import Callable
from typing import Any

from wholeframe.surgery.weight_files.machine import LONGEST_NUMBER, MOST_VALUES, SHORT, Contents, Machine
from wholeframe.surgery.weight_files.refused import Refused


def run(machine: Machine) -> Any:
    """The value of a pickle, in which tensors are to be finished by `finish`.

    Raises:
        Refused: it is damaged, truncated or endless, or has instructions of objects.
    """
    return _guarded(machine, _run)


def finish(machine: Machine, value: Any, size: int) -> Any:
    """The value with its tensors in place.

    Args:
        machine: that ran the pickle.
        value: what it gave.
        size: bytes of the file, which bounds those of the tensors.

    Raises:
        Refused: its tensors or containers repeat without bound.
    """
    return _guarded(machine, lambda machine: Contents(machine, size).finished(value))


def _guarded(machine: Machine, act: Callable[[Machine], Any]) -> Any:
    try:
        return act(machine)
    except RecursionError:
        raise Refused("holds containers in each other without end; save a state dict alone") from None
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, struct.error):
        raise Refused(
            f"is damaged ({machine.left} bytes before its end, its pickle has an instruction that cannot be followed); "
            "take another copy of the file"
        ) from None


def _run(machine: Machine) -> Any:
    for _ in range(MOST_VALUES):
        code = machine.take(1)
        if code == b".":
            (value,) = machine.stack
            if machine.below:
                raise ValueError
            return value
        if code not in STEPS:
            name = NAMES[code.decode("latin1")]
            raise Refused(
                f"cannot be read as tensors and plain data: its pickle makes objects (instruction {name}), and that "
                f"runs code from the file; if you trust it, {machine.advice}"
            )
        STEPS[code](machine)
    raise Refused(f"has more than {MOST_VALUES} instructions in its pickle, which no file of weights needs")


NAMES = {instruction.code: instruction.name for instruction in pickletools.opcodes}
ESCAPED = re.compile(rb"(?:[^\\]++|\\[\\'\"nrt]|\\x[0-9a-f]{2})*+")
"""The inside of a Python 2 string as `repr` gives it."""

PROTOCOL_0_BOOLS = {b"00": False, b"01": True}


def _number_line(machine: Machine) -> None:
    line = machine.take_line(LONGEST_NUMBER)
    machine.push(PROTOCOL_0_BOOLS[line] if line in PROTOCOL_0_BOOLS else int(line))


def _string_line(machine: Machine) -> None:
    """The `repr` of a Python 2 string, which is text or the values of an array."""
    line = machine.take_line()
    inside = line[1:-1]
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"') or not ESCAPED.fullmatch(inside):
        raise ValueError
    machine.push_string(inside.decode("unicode_escape").encode("latin1"))


def _protocol(machine: Machine) -> None:
    if machine.take_number("<B") > 5:
        raise ValueError


def _named(machine: Machine) -> None:
    module, name = (machine.take_line(SHORT).decode() for _ in range(2))
    machine.name(module, name)


def _named_on_the_stack(machine: Machine) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name)


STEPS: dict[bytes, Callable[[Machine], object]] = {
    # the form of the file: PROTO FRAME
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
    b"T": lambda m: m.push_string(m.take(m.take_number("<I"))),
    b"U": lambda m: m.push_string(m.take(m.take_number("<B"))),
    b"V": lambda m: m.push(m.take_line().decode("raw_unicode_escape")),
    b"X": lambda m: m.push(m.take(m.take_number("<I")).decode()),
    b"\x8c": lambda m: m.push(m.take(m.take_number("<B")).decode()),
    b"\x8d": lambda m: m.push(m.take(m.take_number("<Q")).decode()),
    # bytes: BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8
    b"B": lambda m: m.push(m.take_values(m.take_number("<I"))),
    b"C": lambda m: m.push(m.take_values(m.take_number("<B"))),
    b"\x8e": lambda m: m.push(m.take_values(m.take_number("<Q"))),
    b"\x96": lambda m: m.push(m.take_values(m.take_number("<Q"))),
    # containers: MARK, EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE, EMPTY_LIST LIST APPEND APPENDS
    b"(": lambda m: m.mark(),
    b")": lambda m: m.push(()),
    b"\x85": lambda m: m.push(tuple(m.pop_last(1))),
    b"\x86": lambda m: m.push(tuple(m.pop_last(2))),
    b"\x87": lambda m: m.push(tuple(m.pop_last(3))),
    b"t": lambda m: m.push(tuple(m.since_mark())),
    b"]": lambda m: m.push([]),
    b"l": lambda m: m.push(list(m.since_mark())),
    b"a": lambda m: m.extend(m.pop_last(1)),
    b"e": lambda m: m.extend(m.since_mark()),
    # EMPTY_DICT DICT SETITEM SETITEMS
    b"}": lambda m: m.push({}),
    b"d": lambda m: m.push(m.put_items({}, m.since_mark())),
    b"s": lambda m: m.update(m.pop_last(2)),
    b"u": lambda m: m.update(m.since_mark()),
    # EMPTY_SET ADDITEMS
    b"\x8f": lambda m: m.push(set()),
    b"\x90": lambda m: m.include(m.since_mark()),
    # the memo: PUT BINPUT LONG_BINPUT MEMOIZE, GET BINGET LONG_BINGET
    b"p": lambda m: m.remember(int(m.take_line(LONGEST_NUMBER))),
    b"q": lambda m: m.remember(m.take_number("<B")),
    b"r": lambda m: m.remember(m.take_number("<I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"g": lambda m: m.push(m.memo[int(m.take_line(LONGEST_NUMBER))]),
    b"h": lambda m: m.push(m.memo[m.take_number("<B")]),
    b"j": lambda m: m.push(m.memo[m.take_number("<I")]),
    # names and calls: GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID
    b"c": _named,
    b"\x93": _named_on_the_stack,
    b"R": lambda m: m.call(),
    b"b": lambda m: m.build(),
    b"Q": lambda m: m.refer(m.pop()),
}
"""Those left out make objects of classes, or refer to other files and to a registry of extensions."""
