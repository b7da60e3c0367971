"""What a file of `wf.save` holds: its header and its tensors, checked against each other."""

import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from wholeframe.messages import shown
from wholeframe.models.origin import HEADER
from wholeframe.store.header import DIGEST, KEY, Header, from_text, refuse_large
from wholeframe.store.tensors import digest_of

ATTRIBUTE = HEADER


def header_of(network: nn.Module) -> Header | None:
    """The header of the file that a network was loaded from; None for one that was built."""
    return network.__dict__.get(ATTRIBUTE)


def is_network_file(path: str | os.PathLike[str]) -> bool:
    """Whether this is a file of safetensors with the header of `wf.save`, damaged or not."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        start = stream.read(8)
        size = int.from_bytes(start, "little")
        return stream.read(1) == b"{" and f'"{KEY}"'.encode() in stream.read(min(size, 100_000_000))


def read_header(path: str | os.PathLike[str]) -> Header:
    """The header of a file, without a look at its tensors.

    Raises:
        ValueError: for a file that `wf.save` did not write, or a damaged one.
    """
    return _opened(Path(path))[0]


def read(path: str | os.PathLike[str]) -> tuple[Header, dict[str, Tensor]]:
    """The header and the tensors of a file, on the CPU.

    Raises:
        ValueError: for a file that `wf.save` did not write, and for one whose checksum differs.
    """
    path = Path(path)
    header, metadata, tensors = _opened(path, values=True)
    if digest_of(metadata[KEY], tensors) != metadata[DIGEST]:
        raise ValueError(
            f"'{shown(path)}' is damaged: the checksum of its header and tensors differs; take another copy of the file"
        )
    return header, tensors


def _opened(path: Path, values: bool = False) -> tuple[Header, dict[str, str], dict[str, Tensor]]:
    name = f"'{shown(path)}'"
    if path.is_dir():
        raise ValueError(f"{name} is a folder; `wf.load_run` takes a run folder, and `wf.from_pretrained` one of a hub")
    if not path.is_file():
        raise ValueError(f"there is no file {name}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata: Any = file.metadata()
            header = _header(name, metadata)
            sides = [max(file.get_slice(key).get_shape(), default=1) for key in file.keys()]  # noqa: SIM118
            # Clones, because the tensors of `safe_open` are views of the file on the disk.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()} if values else {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{name} is not a whole file of safetensors ({error}); give a file that wf.save wrote"
        ) from error
    try:
        refuse_large(header, max(sides, default=1))
    except ValueError as error:
        raise ValueError(f"{name} cannot be loaded: {error}") from error
    return header, metadata, tensors


def _header(name: str, metadata: dict[str, str] | None) -> Header:
    if metadata is None or KEY not in metadata:
        raise ValueError(
            f"{name} holds weights and not which network they belong to; `wf.restore(network, path)` or "
            "`wf.convert.checkpoint(path)` read such files, and the commands take a network and --weights FILE"
        )
    if set(metadata) != {KEY, DIGEST, "format"} or metadata["format"] != "pt":
        raise ValueError(f"{name} is damaged: its header has other entries than wf.save writes; take another copy")
    try:
        return from_text(metadata[KEY])
    except ValueError as error:
        raise ValueError(f"{name} cannot be loaded: {error}") from error
