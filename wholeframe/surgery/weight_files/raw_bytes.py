"""Bytes of a file as numbers: each part in memory of its own, which is free again when its tensor is.

The file is read, not mapped: tensors in a map would change, or end the process, when the file is written over.
"""

from io import BufferedIOBase

import torch
from torch import Tensor

from wholeframe.surgery.weight_files.refused import Refused


def bytes_of(stream: BufferedIOBase, count: int) -> memoryview:
    """The next bytes of a file that has as many, in memory that is writable and aligned for any number."""
    content = torch.empty(count, dtype=torch.uint8).numpy().data  # numpy's own memory takes four times as long
    if stream.readinto(content) != count:
        raise Refused("became shorter while it was read; read it again when nothing writes to it")
    return content


def tensor_in(values: memoryview, dtype: torch.dtype) -> Tensor:
    """The bytes as numbers of a dtype, in one dimension."""
    return torch.frombuffer(values, dtype=dtype) if len(values) else torch.empty(0, dtype=dtype)
