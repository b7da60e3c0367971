"""What a file of `wf.save` holds: its header and its tensors, checked against each other."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor, nn

from wholeframe.messages import shown
from wholeframe.models.origin import HEADER
from wholeframe.store.header import DIGEST, KEY, Header, from_text, refuse_large
from wholeframe.store.tensors import digest_of
from wholeframe.surgery.weight_files.refused import Refused
from wholeframe.surgery.weight_files.safetensors_file import is_safetensors, read_safetensors, read_shapes

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
    return _described(Path(path))[0]


def read(path: str | os.PathLike[str]) -> tuple[Header, dict[str, Tensor]]:
    """The header and the tensors of a file, on the CPU.

    Raises:
        ValueError: for a file that `wf.save` did not write, and for one whose checksum differs.
    """
    path = Path(path)
    header, metadata = _described(path)
    with _refusing(path):
        tensors = read_safetensors(path)
    if digest_of(metadata[KEY], tensors) != metadata[DIGEST]:
        raise ValueError(
            f"'{shown(path)}' is damaged: the checksum of its header and tensors differs; take another copy of the file"
        )
    return header, tensors


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """ValueError with the name of the file for a reason not to read it."""
    try:
        yield
    except Refused as refused:
        raise ValueError(f"'{shown(path)}' {refused}") from None
    except OSError as error:
        raise ValueError(f"'{shown(path)}' cannot be read: {error.strerror}") from None


def _described(path: Path) -> tuple[Header, dict[str, str]]:
    """The header of a file and the metadata that it is a part of, checked against the shapes of the tensors."""
    name = f"'{shown(path)}'"
    if path.is_dir():
        raise ValueError(f"{name} is a folder; `wf.load_run` takes a run folder, and `wf.from_pretrained` one of a hub")
    if not path.is_file():
        raise ValueError(f"there is no file {name}")
    with _refusing(path):
        with path.open("rb") as stream:
            if not is_safetensors(stream.read(9)):
                raise Refused("is not a whole file of safetensors; give a file that wf.save wrote")
        metadata, shapes = read_shapes(path)
    header = _header(name, metadata)
    try:
        refuse_large(header, max((max(shape, default=1) for shape in shapes.values()), default=1))
    except ValueError as error:
        raise ValueError(f"{name} cannot be loaded: {error}") from error
    return header, metadata


def _header(name: str, metadata: dict[str, str]) -> Header:
    if KEY not in metadata:
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
