"""Pickles of numpy arrays and plain data: the weights of Caffe2, Detectron and Detectron2."""

import re
from pathlib import Path
from typing import Any

from wholeframe.surgery.weight_files.arrays import NUMPY
from wholeframe.surgery.weight_files.instructions import finish, run
from wholeframe.surgery.weight_files.machine import Machine
from wholeframe.surgery.weight_files.refused import Refused

HEAD = re.compile(rb"\x80[\x00-\x05](?!(?:\x95.{8})?\x8a\x0a)|\(|[]}][q(.]|c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n", re.DOTALL)
"""How a pickle begins, except for torch's old format, whose first number has ten bytes."""

ADVICE = "load it yourself and write its arrays alone, as tensors, with `torch.save`"


def is_pickle(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a pickle that is not of `torch.save`."""
    return HEAD.match(head) is not None


def read_pickle(path: Path) -> Any:
    """The content of a pickle: plain data, and a tensor for each numpy array.

    Args:
        path: a pickle of protocol 0 to 5, of Python 2 (text in UTF-8 or Latin-1) or 3.

    Raises:
        Refused: it is truncated or damaged, or holds anything but numbers, text, containers and numeric arrays.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        machine = Machine(stream, size, NUMPY, ADVICE)
        value = run(machine)
    if machine.left:
        raise Refused(
            f"is damaged: its pickle ends {machine.left} bytes before the file; take another copy of the file"
        )
    return finish(machine, value, size)
