"""A file as memory: pages are read when a tensor in them is used, so that a file is in memory once at most."""

import mmap
from pathlib import Path

import torch
from torch import Tensor


def mapped(path: Path) -> memoryview:
    """The bytes of a file that is not empty. The pages are private: tensors may be changed, and the file is not."""
    with path.open("rb") as stream:
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY))


def tensor_in(values: memoryview, dtype: torch.dtype) -> Tensor:
    """The bytes as numbers of a dtype; a copy where they begin between two places of such numbers."""
    if not len(values):
        return torch.empty(0, dtype=dtype)
    tensor = torch.frombuffer(values, dtype=torch.uint8)
    return (tensor if tensor.data_ptr() % dtype.itemsize == 0 else tensor.clone()).view(dtype)
