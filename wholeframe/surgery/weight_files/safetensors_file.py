"""Files of safetensors: a header in JSON (names, dtypes, shapes, places), and the values one after the other."""

import json
import math
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wholeframe.messages import quoted, shown
from wholeframe.surgery.weight_files.raw_bytes import bytes_of, tensor_in
from wholeframe.surgery.weight_files.refused import Refused

LARGEST_HEADER = 2**23
"""Bytes of a header: 50 000 tensors or more."""

DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
}


def is_safetensors(head: bytes) -> bool:
    """Whether the first bytes of a file are those of safetensors: a length of less than 2^40, and a header in JSON."""
    return head[5:9] == b"\0\0\0{"


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, in the order of their names in the header.

    Raises:
        Refused: its header is damaged or contradicts the size of the file.
    """
    with path.open("rb") as stream:
        header = _header(stream, path.stat().st_size)[1]
        # They fill the rest of the file in the order of their places.
        tensors = {name: _tensor(name, entry, stream) for name, entry in _by_place(header)}
    return {name: tensors[name] for name in header}


def read_shapes(path: Path) -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
    """The metadata of a file and the shapes of its tensors, whose values are not read.

    Raises:
        Refused: its header is damaged or contradicts the size of the file.
    """
    with path.open("rb") as stream:
        metadata, header = _header(stream, path.stat().st_size)
    return metadata, {name: tuple(entry["shape"]) for name, entry in header.items()}


def _header(stream: BufferedIOBase, size: int) -> tuple[dict[str, str], dict[str, Any]]:
    """The metadata and the tensors' entries, which are found to fill the rest of the file without a gap."""
    length = int.from_bytes(stream.read(8), "little")
    if length > size - 8:
        raise Refused(f"is truncated or damaged: its header has {length} bytes, and the file {size}; take another copy")
    if length > LARGEST_HEADER:
        raise Refused(f"has a header of {length} bytes; a file of weights has {LARGEST_HEADER} at most")
    try:
        header = json.loads(stream.read(length).decode(), object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        raise Refused("has a damaged header: it is not JSON; take another copy of the file") from None
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise Refused("has a damaged header: its metadata are not names and strings; take another copy of the file")
    end = 0
    for name, entry in _by_place(header):
        begin, next_end = _place(name, entry)
        if begin != end:
            raise Refused(
                f"has a damaged header: '{shown(name)}' begins at {begin}, and the tensor before ends at {end}"
            )
        end = next_end
    if end != size - 8 - length:
        raise Refused(
            f"is truncated or damaged: its header describes {end} bytes of values, and it has {size - 8 - length}; "
            "take another copy of the file"
        )
    return metadata, header


def _by_place(header: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(header.items(), key=lambda item: _place(*item))


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Refused("has a damaged header: it names a tensor twice; take another copy of the file")
    return found


def _place(name: str, entry: Any) -> tuple[int, int]:
    """Where the values of a tensor begin and end, after its shape is compared with them."""
    damaged = Refused(f"has a damaged header: its entry of '{shown(name)}' is not valid; take another copy of the file")
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise damaged
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
        raise damaged
    if len(shape) > 32 or not all(type(number) is int and 0 <= number < 2**62 for number in (*shape, *offsets)):
        raise damaged
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        raise Refused(f"has '{shown(name)}' in {shown(entry['dtype'])}; weights are read in {quoted(DTYPES)}")
    bytes_ = math.prod(shape) * DTYPES[entry["dtype"]].itemsize
    if offsets[1] - offsets[0] != bytes_:
        raise Refused(
            f"has a damaged header: '{shown(name)}' of shape {shown(shape)} takes {bytes_} bytes, and has "
            f"{offsets[1] - offsets[0]}; take another copy of the file"
        )
    return offsets[0], offsets[1]


def _tensor(name: str, entry: dict[str, Any], stream: BufferedIOBase) -> Tensor:
    begin, end = _place(name, entry)
    return tensor_in(bytes_of(stream, end - begin), DTYPES[entry["dtype"]]).reshape(entry["shape"])
