"""The bytes of a file, and tensors that are views of them, so that a file is in memory once.

The file is read, not mapped: tensors in a map would change, or end the process, when the file is written over.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wholeframe.surgery.weight_files.refused import Refused


def bytes_of(path: Path) -> memoryview:
    """All bytes of a file, in memory that is writable and aligned for any number."""
    content = np.empty(path.stat().st_size, np.uint8)
    with path.open("rb") as stream:
        if stream.readinto(content.data) != len(content):
            raise Refused("became shorter while it was read; read it again when nothing writes to it")
    return content.data


def tensor_in(values: memoryview, dtype: torch.dtype) -> Tensor:
    """The bytes as numbers of a dtype; a copy where they begin between two places of such numbers."""
    if not len(values):
        return torch.empty(0, dtype=dtype)
    tensor = torch.frombuffer(values, dtype=torch.uint8)
    return (tensor if tensor.data_ptr() % dtype.itemsize == 0 else tensor.clone()).view(dtype)
